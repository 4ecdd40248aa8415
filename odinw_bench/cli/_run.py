"""``odinw-bench run``: a grid of runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json
from odinw_bench.cli._options import parse_seeds, parse_shots
from odinw_bench.datasets.registry import list_tasks, load_task
from odinw_bench.engine.cache_settings import CacheSettings
from odinw_bench.runs.spec import MODES, RunSpec, Shots, expand_grid


@dataclass(frozen=True)
class RunArguments:
    """The options of the command, see ``odinw-bench run --help``."""

    models: Sequence[str]
    suite: str
    datasets: Sequence[str]
    modes: Sequence[str]
    shots: Sequence[str]
    seeds: Sequence[str]
    protocol: str | None
    weights: str | None
    attributes: str | None
    data_root: Path | None
    results: Path
    device: str
    precision: str
    eval_split: str
    overrides: dict[str, Any]
    cache_gb: float
    cache_disk_gb: float
    cache_dir: Path | None
    checkpointing: bool
    engine: str
    workers: int | None
    ray_address: str | None
    force: bool
    dry_run: bool
    quiet: bool
    as_json: bool
    debug: bool


def command(arguments: RunArguments) -> int:
    """Do the grid; returns the exit code."""
    specs, notes = grid(arguments)
    if not arguments.as_json:
        for note in notes:
            print(f"left out: {note}", file=sys.stderr)
    from odinw_bench.runs.launchers import HowToRun, choose_engine
    from odinw_bench.runs.plan import plan
    from odinw_bench.utils.hardware import pick_device

    how = HowToRun(
        results=arguments.results,
        data_root=arguments.data_root,
        device=pick_device(arguments.device),
        force=arguments.force,
        cache=CacheSettings(
            memory=int(arguments.cache_gb * 2**30),
            disk=int(arguments.cache_disk_gb * 2**30),
            folder=arguments.cache_dir,
        ),
        checkpointing=arguments.checkpointing,
    )
    choose_engine(arguments.engine, arguments.workers, device=how.device, specs=specs)  # a slip is told before all else
    cells = plan(specs, how.results, data_root=how.data_root)
    if arguments.dry_run:
        _print_plan(arguments, cells)
        return 0
    try:
        return _run(arguments, how, cells)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def grid(arguments: RunArguments) -> tuple[list[RunSpec], list[str]]:
    """The cells that the options ask for, and notes on what was left out."""
    datasets = list(arguments.datasets)
    if "all" in datasets:
        datasets = list_tasks(arguments.suite)
    shots: list[Shots] = [parse_shots(text) for text in arguments.shots]
    specs, notes = expand_grid(
        models=arguments.models,
        suite=arguments.suite,
        datasets=datasets,
        modes=list(MODES) if "all" in arguments.modes else arguments.modes,
        shots=shots,
        seeds=parse_seeds(arguments.seeds),
        base={
            "protocol": arguments.protocol,
            "weights": arguments.weights,
            "attributes": arguments.attributes,
            "overrides": arguments.overrides,
            "precision": arguments.precision,
            "eval_split": arguments.eval_split,
        },
    )
    kept, unwritten = with_hand_written(specs)
    if not unwritten or not kept:  # asked for alone, it is an error that says what to do
        return specs, notes
    return kept, [*notes, f"mode 'manual' on {', '.join(unwritten)}: no hand-written prompt (see --attributes)"]


def with_hand_written(specs: Sequence[RunSpec]) -> tuple[list[RunSpec], list[str]]:
    """The cells without those of ``manual`` on tasks that nobody wrote a prompt for, and the names of these tasks."""
    unwritten: dict[str, bool] = {}
    for spec in specs:
        if spec.mode == "manual" and spec.attributes is None and spec.dataset not in unwritten:
            try:
                unwritten[spec.dataset] = not load_task(spec.dataset, spec.suite).has_manual
            except InputError:
                unwritten[spec.dataset] = False  # whoever prepares the cell says what is wrong
    missing = [name for name, bare in unwritten.items() if bare]
    return [spec for spec in specs if spec.mode != "manual" or spec.dataset not in missing], missing


def _run(arguments: RunArguments, how: Any, cells: Sequence[Any]) -> int:
    """Do what is not done yet, and print the table."""
    from odinw_bench.cli._progress import GridProgress
    from odinw_bench.cli._results import Result, cell_name, print_results
    from odinw_bench.runs.launchers import choose_engine
    from odinw_bench.runs.launchers.base import under_torchrun
    from odinw_bench.runs.record import read_record, tidy

    todo = [cell for cell in cells if arguments.force or not cell.done]
    for cell in cells:
        if cell.done and not arguments.force:
            tidy(cell.folder)
    engine = choose_engine(
        arguments.engine,
        arguments.workers,
        device=how.device,
        specs=[cell.spec for cell in todo],
        ray_address=arguments.ray_address,
    )
    if engine.side_by_side:
        todo.sort(key=lambda cell: -cell.most_passes)  # the longest first, so that none is waited for at the end
    leads = not under_torchrun() or os.environ["RANK"] == "0"
    show = leads and not arguments.quiet and not arguments.as_json
    with GridProgress([cell_name(cell) for cell in todo], show=show) as progress:
        outcomes = engine.run([cell.spec for cell in todo], how, progress)
    of_cell = {id(cell): outcome for cell, outcome in zip(todo, outcomes, strict=True)}
    results = []
    for cell in cells:
        outcome = of_cell.get(id(cell))
        if outcome is None:
            results.append(Result(cell, read_record(cell.folder)))
        else:
            results.append(Result(cell, outcome.record, outcome.error))
            if arguments.debug and outcome.details:
                print(outcome.details, file=sys.stderr)
    failed = any(result.error for result in results)
    code = 0 if not failed else 2 if any(outcome.unusable for outcome in outcomes) else 1
    if not leads:
        return code
    print_results(results, eval_split=arguments.eval_split, as_json=arguments.as_json)
    progress.tell_errors()
    if not arguments.as_json:
        before = len(cells) - len(todo)
        print(f"records: {how.results}" + (f" ({before} of {len(cells)} were done before)" if before else ""))
    return code


def _print_plan(arguments: RunArguments, cells: Sequence[Any]) -> None:
    from odinw_bench.runs.plan import estimate_seconds

    todo = [cell for cell in cells if arguments.force or not cell.done]
    seconds, unknown = estimate_seconds(todo, arguments.results)
    if arguments.as_json:
        print_json(
            {
                "cells": [
                    {
                        "folder": str(cell.folder),
                        "done": cell.done,
                        "most_training_passes": cell.most_passes,
                        "test_images": cell.test_images,
                    }
                    for cell in cells
                ],
                "estimated_seconds": round(seconds, 1),
                "cells_without_estimate": unknown,
            }
        )
        return
    for cell in cells:
        print(f"{'to do' if cell in todo else 'done '}  {cell.folder}")
    print(f"{len(cells)} runs: {len(cells) - len(todo)} done, {len(todo)} to do; nothing was run")
    passes, images = sum(cell.most_passes for cell in todo), sum(cell.test_images for cell in todo)
    print(f"to do: at most {passes:,} training passes of one image, {images:,} test images")
    if len(todo) > unknown:
        rest = f"; no record like {unknown} of them to judge by" if unknown else ""
        print(f"about {seconds / 60:.0f} minutes by the records in '{arguments.results}'{rest}")
