"""What a grid amounts to, before anything is run: which cells, which are done, how long the rest may take."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.runs.prepare import Prepared, SplitStore, prepare
from odinw_bench.runs.record import find_records, is_done
from odinw_bench.runs.spec import RunSpec


@dataclass(frozen=True)
class Cell:
    """A cell of a grid, looked up.

    Attributes:
        spec: what to run.
        suite: short name of the suite.
        dataset: short name of the task.
        folder: of the record.
        done: whether it holds a finished run.
        most_passes: training images that are shown to the model at most.
        test_images: images to report on.
    """

    spec: RunSpec
    suite: str
    dataset: str
    folder: Path
    done: bool
    most_passes: int
    test_images: int


def plan(specs: Sequence[RunSpec], results: Path | str, *, data_root: Path | str | None = None) -> list[Cell]:
    """Look up every cell, so that a slip is told at once and not after hours.

    Raises:
        InputError: a cell cannot be run; the message is the first dataset's, and names the others with a problem.
    """
    splits = SplitStore(data_root)
    cells: dict[int, Cell] = {}
    problems: dict[str, InputError] = {}
    for index in sorted(range(len(specs)), key=lambda i: specs[i].dataset):  # one dataset's files are opened once
        spec = specs[index]
        if spec.dataset in problems:
            continue
        try:
            cells[index] = _cell(prepare(spec, results, splits=splits))
        except InputError as error:
            problems[spec.dataset] = error
    if problems:
        (_, first), *others = problems.items()
        more = f" (and problems with {len(others)} more: {', '.join(name for name, _ in others)})" if others else ""
        raise InputError(f"{first}{more}") from first
    return [cells[index] for index in range(len(specs))]


def _cell(prepared: Prepared) -> Cell:
    settings, train = prepared.settings, prepared.train
    passes = 0
    if settings is not None and train is not None:
        steps = max(1, len(train.trainable_ids()) * settings.copies // settings.batch)
        passes = settings.epochs * steps * settings.batch
    return Cell(
        spec=prepared.spec,
        suite=prepared.task.suite,
        dataset=prepared.task.name,
        folder=prepared.folder,
        done=is_done(prepared.folder),
        most_passes=passes,
        test_images=len(prepared.test),
    )


def estimate_seconds(cells: Sequence[Cell], results: Path | str) -> tuple[float, int]:
    """How long cells may take, by the records of the same suite, model, mode and shots.

    Args:
        cells: what is to be done.
        results: folder of the records.

    Returns:
        seconds of the cells that can be estimated, one after the other, and how many cannot.
    """
    taken: Mapping[tuple[Any, ...], list[float]] = defaultdict(list)
    for _, record in find_records(results):
        spec, cost = record["spec"], record.get("cost")
        if cost:
            key = (spec["suite"], spec["model"], spec["mode"], spec["shots"])
            taken[key].append(cost["tune_seconds"] + cost["test_seconds"])
    keys = [(c.suite, c.spec.model, c.spec.mode, c.spec.shots) for c in cells]
    return sum(statistics.fmean(taken[key]) for key in keys if key in taken), sum(key not in taken for key in keys)
