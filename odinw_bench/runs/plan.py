"""What a grid amounts to, before anything is run: which cells, which are done, how long the rest may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.names import task_labels
from odinw_bench.datasets.store import SplitStore
from odinw_bench.evaluation import evaluation_of
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import is_done
from odinw_bench.runs.spec import RunSpec

_NAMED = 20
"""Data sets with problems that are named in one line."""


@dataclass(frozen=True)
class Plan:
    """The cells of a grid, and which of them have to be run.

    Attributes:
        cells: in the order of the specs.
        done: the folders of those that hold a finished run.
        force: finished runs are to be done again.
    """

    cells: Sequence[Cell]
    done: frozenset[Path]
    force: bool = False

    @cached_property
    def todo(self) -> list[Cell]:
        """The cells to run, in the order of the grid."""
        return [cell for cell in self.cells if self.force or cell.folder not in self.done]

    @property
    def kept(self) -> list[Cell]:
        """The cells whose finished run counts."""
        return [] if self.force else [cell for cell in self.cells if cell.folder in self.done]


def plan(specs: Sequence[RunSpec], options: RunOptions, splits: SplitStore | None = None) -> Plan:
    """Look up every cell, so that a wrong name is reported at once and not after hours.

    Args:
        specs: what was asked for.
        options: results folder, data root, metrics and whether finished runs are done again.
        splits: opened splits to share; None: new ones.

    Raises:
        InputError: a cell cannot be run; the message is the first dataset's, and names the others with a problem.
    """
    splits = splits or SplitStore(options.data_root)
    cells: dict[int, Cell] = {}
    problems: dict[str, InputError] = {}
    for index in sorted(range(len(specs)), key=lambda i: specs[i].dataset):  # one dataset's files are opened once
        spec = specs[index]
        if spec.dataset in problems:
            continue
        try:
            cells[index] = prepare(spec, options.results, splits=splits, force=options.force)
            task = cells[index].task
            evaluation_of(task).check_metrics(task, options.metrics)
        except InputError as error:
            problems[spec.dataset] = error
    if problems:
        (_, first), *others = problems.items()
        names = ", ".join(name for name, _ in others[:_NAMED]) + (" ..." if len(others) > _NAMED else "")
        more = f" (and problems with {len(others)} more: {names})" if others else ""
        raise InputError(f"{first}{more}") from first
    found = _each_once([cells[index] for index in range(len(specs))])
    return Plan(found, frozenset(cell.folder for cell in found if is_done(cell.folder)), options.force)


def joined(plans: Sequence[Plan]) -> Plan:
    """Several plans as one; a run that several have is done once.

    Args:
        plans: at least one.
    """
    cells = _each_once([cell for one in plans for cell in one.cells])
    return Plan(cells, frozenset().union(*(one.done for one in plans)), plans[0].force)


def _each_once(cells: Sequence[Cell]) -> list[Cell]:
    """Each run once, though two folders may hold the same data; two data sets of one name get different names."""
    once = list({cell.folder: cell for cell in reversed(cells)}.values())[::-1]
    labels = task_labels([cell.task for cell in once])
    return [replace(cell, label=label) for cell, label in zip(once, labels, strict=True)]
