"""Run records as tables: every ``run.json`` is read once, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from glip_core.errors import InputError
from odinw_bench.engine.recipes import current_name
from odinw_bench.metrics.extra import COCO
from odinw_bench.report.datasets import dataset_names
from odinw_bench.report.other_runs import OtherRun, other_runs
from odinw_bench.report.variants import detector_of, tell_official_splits, tell_weights_apart, variant_of
from odinw_bench.runs.record import RunRecord, Unreadable, find_records
from odinw_bench.runs.seal import find_damage
from odinw_bench.runs.spec import UNTUNED

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
OFFICIAL_IDS = "AP_official_ids"
"""AP on the annotation ids as the file has them; only records of files where it may differ hold it."""
COSTS = (
    "tune_seconds",
    "test_seconds",
    "images_per_second",
    "peak_memory_bytes",
    "tuned_parameters",
    "total_parameters",
)
KEPT_BYTES = "kept_bytes"
"""Size of what was trained in one run."""
RETENTION = ("retained_AP", "base_AP")
"""AP on the data sets of ``--retention`` after tuning and before."""
LEAKS = {"leaks": "training split of", "selection_leaks": "split that selects the best epoch of"}
"""Pictures that are in the test split too: the field of records that counts them, and where else they are."""
TRACEBACK = "traceback.txt"
_RAISED = re.compile(r'^ *File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
CONFIG = ("suite", "model", "variant", "mode", "shots")
_ENVIRONMENT = ("odinw_bench", "git_revision", "python", "torch", "device_name", "threads")


@dataclass(frozen=True)
class Runs:
    """All records below a folder.

    Attributes:
        done: a row per run that counts: ``folder``, ``suite``, ``dataset`` (a name of its own where two folders
            share one, see :func:`odinw_bench.report.datasets.dataset_names`; ``task`` is the name in the record,
            ``data_folder`` the path), ``model``, ``variant`` (what differs from the model's usual run, in words),
            ``detector`` (what of that is not of the recipe or the split), ``tested`` (the split, in words: ``on val``),
            ``mode``, ``shots`` (text), ``seed``, the metrics (``extra``: those beside COCO's, by name), the costs,
            data, weights, environment and protocol.
        failed: the same of the runs that failed, with ``error``, ``traceback`` (its file) and ``raised_at``.
        classes: a row per run and class: ``run`` (index in ``done``), ``name``, ``AP``.
        notes: what was passed over, and why.
        others: finished runs of other evaluations than COCO's, those that count; they are in none of the tables.
    """

    done: pd.DataFrame
    failed: pd.DataFrame
    classes: pd.DataFrame
    notes: list[str]
    others: list[OtherRun] = field(default_factory=list)


def load_runs(results: Path) -> Runs:
    """Read the records below a folder.

    Of several finished runs of one cell (one model, dataset, mode, shots, seed and variant), made for example by
    another version of the program, the newest counts; the notes say so. The seed of a run that tunes nothing is no
    repetition, so there the newest of all seeds counts.

    Raises:
        InputError: there is no such folder, or no usable record in it.
    """
    if not results.is_dir():
        raise InputError(f"results folder '{results}' not found; 'odinw-bench run' makes one")
    rows: list[dict[str, Any]] = []
    classes: list[tuple[int, str, float]] = []
    notes: list[str] = []
    unreadable: list[Unreadable] = []
    found, tested_otherwise = split_evaluations(list(find_records(results, unreadable)), results)
    others, passed_over = other_runs(tested_otherwise)
    datasets = dataset_names([record for _, record in found])
    for (folder, record), dataset in zip(found, datasets, strict=True):
        classes += [(len(rows), name, _number(ap)) for name, ap in record.per_class.items()]
        if (damage := find_damage(record)) is not None:
            notes.append(f"{folder.relative_to(results)} has lost files of its run: {damage}")
        place = str(folder.relative_to(results))
        rows.append(_row(place, record, dataset) | _traceback(folder, results, record.is_done))
    notes += [f"passed over {one.folder.relative_to(results)}: {one.reason}" for one in unreadable] + passed_over
    if not rows and others:
        return Runs(*_nothing(), notes, others)
    if not rows and unreadable:
        raise InputError(f"no readable run record in '{results}'; {notes[0]}")
    if not rows:
        raise InputError(f"no run records in '{results}'; 'odinw-bench run --results {results}' writes them")
    frame = pd.DataFrame(rows)
    frame["variant"], frame["tested"] = tell_official_splits(frame)
    frame["variant"] = tell_weights_apart(frame)
    finished = frame["status"] == "done"
    done, more = _newest(frame[finished])
    notes += more
    unmeasured = done[done["AP"].isna()]
    notes += [f"passed over {place}: it has no AP, its test split holds nothing to find" for place in unmeasured.folder]
    done = done[done["AP"].notna()]
    table = pd.DataFrame(classes, columns=["run", "name", "AP"])
    failed = _not_redone(frame[~finished], done)
    return Runs(done, failed, table[table["run"].isin(done.index)].dropna(), notes + _data_notes(done), others)


def _traceback(folder: Path, results: Path, is_done: bool) -> dict[str, str]:
    """Where a failed run's traceback lies, and its last place in the code; empty where there is none."""
    path = None if is_done else folder / TRACEBACK
    if path is None or not path.is_file():
        return {"traceback": "", "raised_at": ""}
    found = _RAISED.findall(path.read_text(encoding="utf-8", errors="replace"))
    places = [f"{PurePath(file).name}, line {line}, in {name}" for file, line, name in found[-1:]]
    return {"traceback": str(path.relative_to(results)), "raised_at": "".join(places)}


def split_evaluations(
    found: list[tuple[Path, RunRecord]], results: Path
) -> tuple[list[tuple[Path, RunRecord]], list[tuple[str, RunRecord]]]:
    """The records that were tested by COCO's AP, and the finished ones that were not."""
    coco = [(folder, record) for folder, record in found if not record.evaluation]
    others = [
        (str(folder.relative_to(results)), record) for folder, record in found if record.evaluation and record.is_done
    ]
    return coco, others


def _nothing() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables of no runs."""
    names = [*CONFIG, "dataset", "seed", "status", "folder", "error", *METRICS, *COSTS, *_ENVIRONMENT]
    names += [KEPT_BYTES, *RETENTION, "traceback", "raised_at", "detector", "tested"]
    names += ["protocol", "hyperparameters", "test_sha256", "weights_sha256", "eval_split", *LEAKS, "finished"]
    empty = pd.DataFrame(columns=names)
    return empty, empty.copy(), pd.DataFrame(columns=["run", "name", "AP"])


def _row(folder: str, record: RunRecord, dataset: str) -> dict[str, Any]:
    spec, data, environment = record.spec, record.data, record.environment
    hashes = data.get("annotations_sha256") or {}
    return {
        "folder": folder,
        "suite": spec.suite,
        "dataset": dataset,
        "task": spec.dataset,
        "data_folder": record.data_folder,
        "model": spec.model,
        "mode": spec.mode,
        "shots": str(spec.shots),
        "seed": spec.seed,
        "variant": variant_of(record),
        "detector": detector_of(record),
        "status": record.status,
        "error": record.error or "",
        **{name: _number(record.metrics.get(name)) for name in (*METRICS, OFFICIAL_IDS)},
        "extra": {
            name: value
            for name, value in record.metrics.items()
            if name not in COCO and value is not None and not isinstance(value, Mapping)
        },
        **{name: _number(record.cost.get(name)) for name in COSTS},
        KEPT_BYTES: _number(record.kept_bytes),
        **{name: _number(record.retention.get(name)) for name in RETENTION},
        "train_images": _number(data.get("train_images")),
        "test_images": _number(data.get("test_images")),
        **{name: _number(data.get(name)) for name in LEAKS},
        "test_sha256": record.test_sha256,
        "train_sha256": str(hashes.get("train") or ""),
        "eval_split": spec.eval_split,
        "weights_sha256": str(record.get("weights_sha256") or ""),
        "weights_name": spec.weights or "",
        "protocol": record.protocol_name,
        "hyperparameters": _settings(record.protocol.get("hyperparameters")),
        **{name: str(environment.get(name) or "") for name in _ENVIRONMENT},
        "started": str(record.get("started") or ""),
        "finished": str(record.get("finished") or ""),
        "digest": record.digest,
    }


def _number(value: float | None) -> float:
    """A number of a record; NaN where it holds none."""
    return math.nan if value is None else float(value)


def _settings(values: Mapping[str, Any] | None) -> str:
    return "; ".join(f"{current_name(name)} {value}" for name, value in (values or {}).items())


def _newest(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """One run per cell."""
    seed = frame["seed"].where(~frame["mode"].isin(UNTUNED), -1)
    ordered = frame.assign(_seed=seed).sort_values(["finished", "folder"], kind="stable")
    cell = [*CONFIG, "dataset", "_seed"]
    older = ordered.duplicated(cell, keep="last")
    notes = [f"passed over {place}: a newer run of the same cell counts" for place in sorted(ordered[older].folder)]
    return ordered[~older].drop(columns="_seed").sort_index(), notes


def _not_redone(failed: pd.DataFrame, done: pd.DataFrame) -> pd.DataFrame:
    """The failed runs whose cell was not done later: with repaired data a run has another digest and folder."""
    if failed.empty:
        return failed
    cell = [*CONFIG, "dataset", "seed"]
    later = dict(zip(rows_of(done, cell), done["finished"], strict=True))
    kept = [later.get(key, "") <= end for key, end in zip(rows_of(failed, cell), failed["finished"], strict=True)]
    return failed[pd.Series(kept, index=failed.index, dtype=bool)]


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of some columns; ``to_dict`` and ``itertuples`` take several times as long."""
    return zip(*(frame[name].tolist() for name in columns), strict=True)


def _data_notes(done: pd.DataFrame) -> list[str]:
    """A warning for each data set that was tested on several versions, or on what was learnt from or selected on."""
    versions: dict[tuple[str, ...], set[str]] = {}
    for *place, sha256 in rows_of(done, ("suite", "dataset", "eval_split", "test_sha256")):
        if sha256:
            versions.setdefault(tuple(place), set()).add(sha256)
    leaky = []
    for name, where in LEAKS.items():
        most: dict[tuple[str, str], float] = {}
        for run in done[done[name] > 0].to_dict("records"):
            key = run["suite"], run["dataset"]
            most[key] = max(run[name], most.get(key, 0))
        leaky += [
            f"{count:.0f} pictures of the {where} {suite}/{dataset} are in its test split too, byte for byte: "
            "the numbers of the tuned runs are too high"
            for (suite, dataset), count in sorted(most.items())
        ]
    return leaky + [
        f"runs of {suite}/{dataset} were tested on {len(hashes)} versions of its data "
        f"({', '.join(sorted(value[:8] for value in hashes))}): their numbers are not comparable"
        for (suite, dataset, _), hashes in sorted(versions.items())
        if len(hashes) > 1
    ]
