"""What tuning destroys: AP of a tuned detector on what it could do before, beside that of its base."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.datasets.retained import RetainedTask
from odinw_bench.engine.distributed import DistributedContext
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.evaluation import Conditions, evaluation_of
from odinw_bench.models import Model
from odinw_bench.runs.cell import Cell
from odinw_bench.utils.io import canonical_json, read_json, sha256_bytes, write_json

FOLDER = ".retention"
"""Below the results: the AP of base models, which is the same for all runs that begin with them."""

APs = Mapping[str, float]
"""AP in percent by the name of the data set."""


def measure(
    model: Model, tasks: Sequence[RetainedTask], precision: str, distributed: DistributedContext
) -> dict[str, float]:
    """AP of a detector on other data sets than its own, by their class names.

    What was tuned for one prompt alone, an offset, is put aside: another prompt does not use it.

    Args:
        model: the base, or tuned.
        tasks: what is asked; a data set that shows nothing to find is left out.
        precision: see :func:`~odinw_bench.engine.predict.autocast`.
        distributed: the processes that share the work.

    Raises:
        InputError: an image cannot be read.
    """
    found = {}
    with model.without_tuned_prompt():
        for one in tasks:
            evaluation = evaluation_of(one.task)
            conditions = Conditions(precision, distributed, MicroBatching())
            prompt = task_prompt(one.task, "zero-shot")
            predictions = evaluation.detect(model, one.task, prompt, one.split, conditions)
            ap = evaluation.score(one.task, one.split, predictions)["AP"]
            if ap is not None:
                found[one.name] = float(ap)
    if not found:
        raise InputError(f"--retention: nothing is to be found in {', '.join(one.name for one in tasks)}")
    return found


def measure_base(model: Model, cell: Cell, results: Path, distributed: DistributedContext) -> dict[str, float]:
    """:func:`measure` of the base of a run, remembered for the next run with the same weights, data and precision.

    Args:
        model: before it is tuned.
        cell: the run.
        results: folder of the records; ``.retention`` in it remembers.
        distributed: the processes that share the work; all call with the same arguments.
    """
    precision = cell.spec.precision
    asked = [one.identity | ({"name": one.name} if one.label else {}) for one in cell.retained]
    key = sha256_bytes(canonical_json([cell.facts.name, cell.weights_sha256, precision, asked]))
    path = results / FOLDER / f"{key[:32]}.json"
    known = distributed.broadcast(_remembered(path, key) if distributed.is_main else None)
    if known is not None:
        return dict(known)
    found = measure(model, cell.retained, precision, distributed)
    if distributed.is_main:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": key, "AP": found})
    return found


def _remembered(path: Path, key: str) -> dict[str, float] | None:
    """What a file remembers; None where there is none, or it is damaged: then it is measured again."""
    if not path.is_file():
        return None
    with suppress(InputError, TypeError, ValueError, KeyError, AttributeError):
        content = read_json(path)
        if content["key"] == key:
            return {str(name): float(ap) for name, ap in content["AP"].items()}
    return None


def measure_tuned(model: Model, cell: Cell, base: APs, distributed: DistributedContext) -> dict[str, Any]:
    """The record's ``retention``, after tuning.

    Args:
        model: tuned.
        cell: the run.
        base: of :func:`measure_base`.
        distributed: the processes that share the work.
    """
    started = time.perf_counter()
    tuned = measure(model, cell.retained, cell.spec.precision, distributed)
    return {
        "tasks": list(tuned),
        "images": sum(len(one.split) for one in cell.retained),
        "retained_AP": statistics.fmean(tuned.values()),
        "base_AP": statistics.fmean(base[name] for name in tuned),
        "by_task": {name: {"retained_AP": ap, "base_AP": base[name]} for name, ap in tuned.items()},
        "seconds": round(time.perf_counter() - started, 3),
    }
