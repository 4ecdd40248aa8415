"""Run records as tables: every ``run.json`` is read once, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from glip_core.config import PRESETS
from glip_core.errors import InputError
from odinw_bench.metrics.extra import COCO
from odinw_bench.runs.record import find_records
from odinw_bench.runs.spec import UNTUNED
from odinw_bench.utils.io import parse_json, read_bytes

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
CONFIG = ("suite", "model", "variant", "mode", "shots")
BODY_ALONE = "its body under a new class layer"
"""How a class-head detector that starts from a GLIP's weights is called: it is not the paper's DyHead."""
_WORDS = ("suite", "dataset", "model", "mode")
_ENVIRONMENT = ("odinw_bench", "git_revision", "python", "torch", "device_name", "threads")


@dataclass(frozen=True)
class Runs:
    """All records below a folder.

    Attributes:
        done: a row per run that counts: ``folder``, ``suite``, ``dataset``, ``model``, ``variant`` (what differs from
            the model's usual run, in words), ``mode``, ``shots`` (text), ``seed``, the metrics (``extra``: those beside
            COCO's, by name), the costs, data, weights, environment and protocol.
        failed: the same of the runs that failed, with ``error``.
        classes: a row per run and class: ``run`` (index in ``done``), ``name``, ``AP``.
        notes: what was passed over, and why.
    """

    done: pd.DataFrame
    failed: pd.DataFrame
    classes: pd.DataFrame
    notes: list[str]


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
    for folder, record in find_records(results):
        place = str(folder.relative_to(results))
        try:
            row = _row(place, record)
            per_class = [(len(rows), str(name), _number(ap)) for name, ap in _per_class(record).items()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            notes.append(f"passed over {place}: not a complete record ({type(error).__name__}: {error})")
            continue
        rows.append(row)
        classes += per_class
    if not rows:
        raise InputError(f"no run records in '{results}'; 'odinw-bench run --results {results}' writes them")
    frame = pd.DataFrame(rows)
    frame["variant"] = _tell_weights_apart(frame)
    finished = frame["status"] == "done"
    done, more = _newest(frame[finished])
    notes += more
    unmeasured = done[done["AP"].isna()]
    notes += [f"passed over {place}: it has no AP, its test split holds nothing to find" for place in unmeasured.folder]
    done = done[done["AP"].notna()]
    table = pd.DataFrame(classes, columns=["run", "name", "AP"])
    return Runs(done, frame[~finished], table[table["run"].isin(done.index)].dropna(), notes + _data_notes(done))


def find_content(results: Path, pattern: str, kind: str) -> list[dict[str, Any]]:
    """What other commands left below the results folder, sorted by place; foreign files are passed over.

    Args:
        results: the folder.
        pattern: of the files, for ``Path.glob``.
        kind: what their ``kind`` must be.
    """
    found = []
    for path in sorted(results.glob(pattern)):
        try:
            content = parse_json(read_bytes(path), path)
        except InputError:
            continue
        if isinstance(content, dict) and (content.get("schema"), content.get("kind")) == (1, kind):
            found.append(content)
    return found


def _row(folder: str, record: Mapping[str, Any]) -> dict[str, Any]:
    spec, environment, data = record["spec"], record.get("environment") or {}, record.get("data") or {}
    for name in _WORDS:
        if not isinstance(spec[name], str) or not spec[name]:
            raise ValueError(f"spec.{name} is {spec[name]!r}")
    if record["status"] not in ("done", "failed"):
        raise ValueError(f"status is {record['status']!r}")
    metrics, cost, protocol = record["metrics"] or {}, record["cost"] or {}, record.get("protocol") or {}
    if record["status"] == "done" and "AP" not in metrics:
        raise ValueError("metrics.AP is missing")
    hashes = data.get("annotations_sha256") or {}
    return {
        "folder": folder,
        **{name: spec[name] for name in _WORDS},
        "shots": str(spec["shots"]),
        "seed": int(spec["seed"]),
        "variant": variant_of(spec, protocol),
        "status": record["status"],
        "error": str(record.get("error") or ""),
        **{name: _number(metrics.get(name)) for name in (*METRICS, OFFICIAL_IDS)},
        "extra": {name: _number(value) for name, value in metrics.items() if name not in COCO and value is not None},
        **{name: _number(cost.get(name)) for name in COSTS},
        "train_images": _number(data.get("train_images")),
        "test_images": _number(data.get("test_images")),
        "leaks": _number(data.get("leaks")),
        "test_sha256": str(hashes.get("test") or ""),
        "train_sha256": str(hashes.get("train") or ""),
        "eval_split": str(spec.get("eval_split") or "test"),
        "weights_sha256": str(record.get("weights_sha256") or ""),
        "weights_name": str(spec.get("weights") or ""),
        "protocol": str(protocol.get("name") or spec.get("protocol") or ""),
        "hyperparameters": _settings(protocol.get("hyperparameters")),
        **{name: str(environment.get(name) or "") for name in _ENVIRONMENT},
        "started": str(record.get("started") or ""),
        "finished": str(record.get("finished") or ""),
        "digest": str(record.get("digest") or ""),
    }


def _per_class(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((record["metrics"] or {}).get("per_class") or {})


def _number(value: Any) -> float:
    """A number of a record; NaN where it holds none."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _settings(values: Mapping[str, Any] | None) -> str:
    return "; ".join(f"{name} {value}" for name, value in (values or {}).items())


def variant_of(spec: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    """What sets a run apart from the usual one of its model, mode and shots; empty for a usual run."""
    parts = []
    name = protocol.get("name") or spec.get("protocol")
    if spec["mode"] not in UNTUNED:  # whatever tunes nothing knows no protocol
        config = PRESETS.get(spec["model"])
        usual = None if config is None else "mini-1" if config.family == "nano" else "odinw-glip-1"
        if name and usual and name != usual:
            parts.append(str(name))
        parts += [f"{key}={value}" for key, value in sorted((spec.get("overrides") or {}).items())]
    for key in ("weights", "attributes"):
        if spec.get(key):
            body = key == "weights" and spec["model"] in PRESETS and not _has_text(spec["model"])
            told = f": {BODY_ALONE}" if body and _has_text(spec[key]) else ""
            parts.append(f"{key} {PurePath(str(spec[key])).name}{told}")
    if spec.get("precision", "fp32") != "fp32":
        parts.append(str(spec["precision"]))
    if spec.get("eval_split", "test") != "test":
        parts.append(f"on {spec['eval_split']}")
    return ", ".join(parts)


def _has_text(preset: Any) -> bool:
    return preset in PRESETS and PRESETS[preset].has_text


def _tell_weights_apart(frame: pd.DataFrame) -> pd.Series:
    """The variants, with the hash of the weights where runs of one name were made with different ones."""
    kinds = frame.groupby(["suite", "model", "variant"])["weights_sha256"].transform("nunique")
    several = (kinds > 1) & (frame["weights_sha256"] != "")
    hashes = "weights " + frame["weights_sha256"].str[:8]
    joined = frame["variant"].where(frame["variant"] == "", frame["variant"] + ", ") + hashes
    return frame["variant"].where(~several, joined)


def _newest(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """One run per cell."""
    seed = frame["seed"].where(~frame["mode"].isin(UNTUNED), -1)
    ordered = frame.assign(_seed=seed).sort_values(["finished", "folder"], kind="stable")
    cell = [*CONFIG, "dataset", "_seed"]
    older = ordered.duplicated(cell, keep="last")
    notes = [f"passed over {place}: a newer run of the same cell counts" for place in sorted(ordered[older].folder)]
    return ordered[~older].drop(columns="_seed").sort_index(), notes


def _data_notes(done: pd.DataFrame) -> list[str]:
    """A warning for each data set whose runs were tested on different annotations, or on what they learnt from."""
    versions: dict[tuple[str, str, str], set[str]] = {}
    for run in done[done["test_sha256"] != ""].to_dict("records"):
        versions.setdefault((run["suite"], run["dataset"], run["eval_split"]), set()).add(run["test_sha256"])
    leaks: dict[tuple[str, str], float] = {}
    for run in done[done["leaks"] > 0].to_dict("records"):
        leaks[run["suite"], run["dataset"]] = max(run["leaks"], leaks.get((run["suite"], run["dataset"]), 0))
    leaky = [
        f"{count:.0f} pictures of the training split of {suite}/{dataset} are in its test split too: the numbers of "
        "the tuned runs are too high"
        for (suite, dataset), count in sorted(leaks.items())
    ]
    return leaky + [
        f"runs of {suite}/{dataset} were tested on {len(hashes)} versions of its data "
        f"({', '.join(sorted(value[:8] for value in hashes))}): their numbers are not comparable"
        for (suite, dataset, _), hashes in sorted(versions.items())
        if len(hashes) > 1
    ]
