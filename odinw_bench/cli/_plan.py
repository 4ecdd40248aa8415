"""What grids amount to: planned before anything is run, and printed by ``odinw-bench run --dry-run``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.utils.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from odinw_bench.cli._grids import NamedGrid
    from odinw_bench.datasets.store import SplitStore
    from odinw_bench.runs.cell import Cell
    from odinw_bench.runs.options import RunOptions
    from odinw_bench.runs.plan import Plan
    from odinw_bench.runs.spec import RunSpec


WORKERS = (1, 2, 8, 64, 512)
"""Numbers of workers that a plan is simulated with."""


@dataclass(frozen=True)
class PlannedGrid:
    """A grid with its cells.

    Attributes:
        named: the grid.
        plan: its cells; None: it cannot be run.
        reason: why it cannot; empty: it can.
    """

    named: NamedGrid
    plan: Plan | None
    reason: str = ""


def plan_grids(grids: Sequence[NamedGrid], options: RunOptions, *, quiet: bool) -> list[PlannedGrid]:
    """Look up the cells of grids.

    Of several grids those that cannot be run, since their data or weights are missing or the options leave nothing of
    them, are left out with a note.

    Args:
        grids: at least one.
        options: of the runs.
        quiet: print no notes.

    Raises:
        InputError: none can be run, or one names something that there is not.
    """
    from odinw_bench.runs.plan import plan

    found: list[PlannedGrid] = []
    notes: list[str] = []
    expanded = [_expanded(one, options, notes, alone=len(grids) == 1) for one in grids]  # a slip is reported first
    for one, content in zip(grids, expanded, strict=True):
        try:
            if isinstance(content, InputError):
                raise content
            found.append(PlannedGrid(one, plan(content[0], options, content[1])))
        except InputError as error:
            if len(grids) == 1:
                raise
            found.append(PlannedGrid(one, None, str(error)))
            notes.append(f"{one.name}: {error}")
    if all(one.plan is None for one in found):
        raise InputError(f"none of the {len(found)} grids can be run; {found[0].named.name}: {found[0].reason}")
    if not quiet:
        for note in notes:
            write_line(f"left out: {note}", file=sys.stderr)
    return found


def _expanded(
    named: NamedGrid, options: RunOptions, notes: list[str], *, alone: bool
) -> tuple[list[RunSpec], SplitStore] | InputError:
    """The cells of a grid, and what opens their splits; why there are none, where it is not the only grid.

    Raises:
        InputError: it names something that there is not; of several grids the message says which.
    """
    from odinw_bench.datasets.store import SplitStore
    from odinw_bench.runs.grid import NothingLeftError
    from odinw_bench.runs.launchers import choose_engine

    splits = SplitStore(options.data_root)
    try:
        specs, left_out = named.grid.expand(splits.task)
    except InputError as error:
        if isinstance(error, NothingLeftError) and not alone:
            return error
        raise InputError(f"{named.name}: {error}" if named.name else str(error)) from error
    choose_engine(options, [spec.facts for spec in specs])  # a wrong name is reported first
    notes += left_out
    return specs, splits


@dataclass(frozen=True)
class Expected:
    """How long cells may take, by the records in the results folder, which are read once.

    Attributes:
        by_folder: seconds of each cell, by the folder of its record; None where no record says.
    """

    by_folder: Mapping[Path, float | None]

    @classmethod
    def of(cls, cells: Sequence[Cell], options: RunOptions) -> Expected:
        """Of cells on the options' device."""
        from odinw_bench.runs.costs import seconds_of

        found = seconds_of(cells, options.results, options.device)
        return cls({cell.folder: seconds for cell, seconds in zip(cells, found, strict=True)})

    def seconds(self, cells: Sequence[Cell]) -> list[float | None]:
        """Of some of the cells."""
        return [self.by_folder[cell.folder] for cell in cells]

    def total(self, cells: Sequence[Cell]) -> tuple[float, int]:
        """Seconds of those that are known, one after the other, and how many are not."""
        known = [seconds for seconds in self.seconds(cells) if seconds is not None]
        return sum(known), len(cells) - len(known)


def announce(plan: Plan, options: RunOptions, workers: int = 1) -> None:
    """Say what is about to be done, how long it may take, and what splits of one's own data came about by a rule.

    Args:
        plan: what is to be done.
        options: of the runs.
        workers: processes that do it side by side.
    """
    from odinw_bench.runs.simulate import Job, simulate
    from odinw_bench.utils.text import duration

    expected = Expected.of(plan.todo, options)
    found = zip(plan.todo, expected.seconds(plan.todo), strict=True)
    jobs = [Job(cell.name, seconds) for cell, seconds in found if seconds is not None]
    unknown = len(plan.todo) - len(jobs)
    time = "no record to estimate the time by"
    if jobs:
        crew = min(workers, len(jobs))
        side_by_side = f" in {crew} processes" if crew > 1 else ""
        time = f"about {duration(simulate(jobs, crew).makespan)}{side_by_side}"
    rest = f" and {unknown} without a record to estimate by" if jobs and unknown else ""
    suites = ", ".join(dict.fromkeys(cell.task.suite for cell in plan.todo))
    done = f", {len(plan.kept)} done before" if plan.kept else ""
    write_line(f"{counted(len(plan.todo), 'run')} of suite {suites} on {options.device}{done}: {time}{rest}")
    for name, notes in {cell.dataset: cell.task.notes for cell in plan.todo if cell.task.root is not None}.items():
        for note in notes:
            write_line(f"{name}: {note}")


def print_plan(planned: Sequence[PlannedGrid], options: RunOptions, *, as_json: bool) -> None:
    """Print which cells would be run and how long they may take, in all and, of several grids, for each."""
    from odinw_bench.runs.plan import joined

    plans = [one.plan for one in planned if one.plan is not None]
    together = joined(plans)
    expected = Expected.of(together.todo, options)
    if as_json:
        rows = [_json(one, expected) for one in planned]
        print_json(rows[0] if not planned[0].named.name else {"grids": rows})
        return
    for one in planned:
        if one.plan is not None:
            _print(one.named.name, one.plan, options, expected)
    if len(plans) > 1:
        _print_sums(f"all {len(plans)} grids: ", together, options, expected)


def _json(one: PlannedGrid, expected: Expected) -> dict[str, Any]:
    from odinw_bench.runs.estimate import estimate_published

    named = {"name": one.named.name} if one.named.name else {}
    if one.plan is None:
        return {**named, "grid": one.named.grid.to_json(), "left_out": one.reason}
    seconds, unknown = expected.total(one.plan.todo)
    published = {"hours_by_published_speeds": estimate_published(one.plan.todo)} if named else {}
    return {
        **named,
        "grid": one.named.grid.to_json(),
        "cells": [
            {
                "folder": str(cell.folder),
                "done": cell.folder in one.plan.done,
                "most_training_passes": cell.most_passes,
                "test_images": len(cell.test),
            }
            for cell in one.plan.cells
        ],
        "estimated_seconds": round(seconds, 1),
        "cells_without_estimate": unknown,
        **published,
    }


def _print(name: str, plan: Plan, options: RunOptions, expected: Expected) -> None:
    if name:
        write_line(f"{name}:")
    for cell in plan.cells:
        write_line(f"{'to do' if plan.force or cell.folder not in plan.done else 'done '}  {cell.folder}")
    _print_sums("", plan, options, expected)


def _print_sums(about: str, plan: Plan, options: RunOptions, expected: Expected) -> None:
    from odinw_bench.runs.estimate import estimate_published
    from odinw_bench.utils.text import duration

    cells, todo = plan.cells, plan.todo
    seconds, unknown = expected.total(todo)
    write_line(
        f"{about}{counted(len(cells), 'run')}: {len(cells) - len(todo)} done, {len(todo)} to do; nothing was run"
    )
    passes, images = sum(cell.most_passes for cell in todo), sum(len(cell.test) for cell in todo)
    write_line(f"to do: at most {passes:,} training passes of one image, {images:,} test images")
    if len(todo) > unknown:
        rest = f"; no record like {unknown} of them to estimate by" if unknown else ""
        write_line(f"about {duration(seconds)} one after the other, by the records in '{options.results}'{rest}")
    elif todo:
        write_line(f"no record like them in '{options.results}' to estimate the time by")
    _print_workers(todo, options, expected)
    hours = estimate_published(todo)
    if hours is not None:
        write_line(f"estimate by the paper's speeds (testing on one P100, training on one V100): {hours:.0f} hours")


def _print_workers(todo: Sequence[Cell], options: RunOptions, expected: Expected) -> None:
    """How long it takes with several processes or GPUs, where something says how long each run takes."""
    from odinw_bench.runs.estimate import estimate_published
    from odinw_bench.runs.simulate import Job, simulate

    found = expected.seconds(todo)
    about = f"the records in '{options.results}'"
    if any(seconds is None for seconds in found):
        hours = [estimate_published([cell]) for cell in todo]
        found, about = [None if one is None else 3600 * one for one in hours], "the paper's speeds"
    jobs = [Job(cell.name, seconds) for cell, seconds in zip(todo, found, strict=True) if seconds is not None]
    if len(jobs) < len(todo) or len(jobs) < 2:
        return
    parts = []
    for workers in WORKERS:
        outcome = simulate(jobs, workers)
        parts.append(f"{workers}: {outcome.makespan / 60:,.0f} min ({outcome.utilisation:.0%} at work)")
        if workers >= len(jobs):
            break
    write_line(f"by number of workers, the longest runs first, by {about}: {'; '.join(parts)}")
    write_line(
        f"the longest: {outcome.last[0]}" if outcome.makespan == outcome.floor else f"the last: {outcome.last[0]}"
    )
