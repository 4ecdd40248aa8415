"""Predictions of any model, measured as our own are: COCO results in, ordinary run records out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.coco import annotation_notes
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.task import Task
from odinw_bench.evaluation import evaluation_of, recorded_evaluation
from odinw_bench.runs.claims import claim, tidy, when_free
from odinw_bench.runs.environment import environment, now
from odinw_bench.runs.record import SCHEMA, RunRecord, is_done, read_record, write_record
from odinw_bench.runs.record_fields import check_encodable
from odinw_bench.runs.spec import MODES, UNTUNED, Shots
from odinw_bench.utils.io import canonical_json, read_json, sha256_bytes, write_json
from odinw_bench.utils.text import shorten

EXTERNAL = "external"
"""The protocol's name in records of models that were not tuned here."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_WAYS = ("{name}.json", "{name}/predictions.json", "{name}.bbox.json", "{name}/bbox.json", "{name}_predictions.json")


@dataclass(frozen=True)
class ExternalRun:
    """What a model's predictions are said to be.

    Attributes:
        model: its name in tables and folders; letters, digits, ``. _ + -``.
        mode: how it was adapted, one of our modes (a plain detector's are ``linear`` and ``full``).
        shots: images per class it was adapted on; 0 for the modes that tune nothing.
        seed: of the subset.
        eval_split: the split the predictions are of.
    """

    model: str
    mode: str = "zero-shot"
    shots: Shots = 0
    seed: int = 3
    eval_split: str = "test"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.model):
            raise InputError(f"--model-name must be letters, digits and . _ + - (up to 80), not {shorten(self.model)}")
        if self.mode not in MODES:
            raise InputError(f"unknown mode {shorten(self.mode)}; known: {', '.join(MODES)}")
        if (self.shots == 0) != (self.mode in UNTUNED):
            raise InputError(f"mode '{self.mode}' with {self.shots} shots cannot be: 0 is for {', '.join(UNTUNED)}")


def find_predictions(place: Path, task: Task, label: str | None = None) -> Path | None:
    """The file of a task's predictions; None where a folder has none.

    A folder is searched for ``NAME.json``, ``NAME/predictions.json``, ``NAME.bbox.json``, ``NAME/bbox.json`` and
    ``NAME_predictions.json``, where NAME is anything the task answers to, or ``label`` alone where
    that is another name than the task's, which two tasks then share. A file is that of the one task scored.
    """
    if not place.is_dir():
        return place
    for name in task.names if label in (None, task.name) else (label,):
        for way in _WAYS:
            if "/" not in name and (place / way.format(name=name)).is_file():
                return place / way.format(name=name)
    return None


def score(
    task: Task,
    predictions: Path,
    external: ExternalRun,
    results: Path,
    *,
    data_root: Path | None = None,
    force: bool = False,
    extra: Sequence[str] = (),
) -> RunRecord:
    """Evaluate one file of COCO results and store the record.

    Args:
        task: what was predicted.
        predictions: list of ``image_id``, ``category_id``, ``bbox`` and ``score``, or an object with such a list
            under ``annotations``, ``predictions`` or ``results``.
        external: what they are said to be.
        results: folder of the records.
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.
        force: do it again even if it was done.
        extra: metrics beside COCO's; see :func:`odinw_bench.metrics.extra.extra_metrics`.

    Returns:
        the record; like any other, but without costs, and with ``external`` naming the file and its hash. One that
        is there already counts if it has all of ``extra``, and else keeps what it has beside. Another process that
        is at it is waited for.

    Raises:
        InputError: the data or the file are missing or unusable, or such metrics cannot be computed here.
    """
    external = replace(external, eval_split=task.split_named(external.eval_split))
    evaluation = evaluation_of(task)
    evaluation.check_metrics(task, extra)
    split = open_split(task, external.eval_split, data_root)
    found = _listed(read_json(predictions, what="predictions file"), predictions)
    try:
        metrics = evaluation.score(task, split, found, extra)
        check_encodable(found)  # fields that nobody reads go into the record's copy, too
    except InputError as error:
        raise InputError(f"'{predictions}': {error}") from error
    spec: dict[str, Any] = {
        "dataset": task.name,
        "model": external.model,
        "suite": task.suite,
        "mode": external.mode,
        "shots": external.shots,
        "seed": external.seed,
        "protocol": EXTERNAL,
        "weights": None,
        "attributes": None,
        "overrides": {},
        "precision": "fp32",
        "eval_split": external.eval_split,
    }
    evaluated = list(recorded_evaluation(task).values())  # none for COCO's: as before there were others
    digest = sha256_bytes(canonical_json([spec, split.sha256, found, *evaluated]))
    name = f"{external.mode}-{external.shots}shot-seed{external.seed}-{digest[:8]}"
    folder = results / task.suite / external.model / task.name / name
    names = {one.rpartition(":")[2] for one in extra}

    def store() -> RunRecord:
        if not force and is_done(folder) and names <= read_record(folder).metrics.keys():
            tidy(folder)
            return read_record(folder)
        with claim(folder) as claimed:
            beside = read_record(folder).metrics if not force and is_done(folder) else {}
            with claimed.writing() as scratch:
                record = _record(spec, digest, {**beside, **metrics}, split.sha256, len(split))
                record |= recorded_evaluation(task)
                record["data"]["classes"] = split.classes
                if task.root is not None:
                    record["data"]["folder"] = task.place
                record["data"]["annotation_notes"] = annotation_notes({external.eval_split: split})
                record["external"] = {"file": predictions.name, "sha256": file_sha256(predictions)}
                write_json(scratch / "predictions.json", found, indent=None)
                write_record(scratch, record)
        return read_record(folder)

    return when_free(store)


def _listed(content: Any, path: Path) -> Any:
    if isinstance(content, Mapping):
        for key in ("annotations", "predictions", "results"):
            if isinstance(content.get(key), list):
                return content[key]
        raise InputError(f"'{path}' must hold a list of COCO results, not an object of {shorten(sorted(content))}")
    return content


def _record(spec: dict[str, Any], digest: str, metrics: dict[str, Any], sha256: str, images: int) -> dict[str, Any]:
    at = now()
    return {
        "schema": SCHEMA,
        "spec": spec,
        "digest": digest,
        "status": "done",
        "metrics": metrics,
        "cost": None,
        "data": {"test_images": images, "few_shot": None, "annotations_sha256": {"test": sha256}},
        "protocol": {"name": EXTERNAL, "hyperparameters": None, "eval_split": spec["eval_split"]},
        "weights_sha256": None,
        "environment": environment("cpu"),
        "started": at,
        "finished": at,
        "error": None,
    }
