"""``odinw-bench run``: a grid of runs, one after the other."""

from __future__ import annotations

import json
import statistics
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from glip_core.errors import InputError
from odinw_bench.commands.output import console, fail, number, print_json, table
from odinw_bench.spec import MODES, OFFICIAL_SEEDS, RunSpec, Shots, expand_grid
from odinw_bench.tasks import list_tasks


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
    force: bool
    dry_run: bool
    quiet: bool
    as_json: bool
    debug: bool


@dataclass
class Outcome:
    """What became of one cell."""

    spec: RunSpec
    record: dict[str, Any] | None
    folder: Path
    error: str | None = None
    was_done: bool = False


def command(arguments: RunArguments) -> int:
    """Do the grid; returns the exit code."""
    specs, notes = _grid(arguments)
    from odinw_bench.devices import pick_device
    from odinw_bench.records import is_done
    from odinw_bench.runner import prepare

    device = pick_device(arguments.device)
    prepared = [prepare(spec, arguments.results, data_root=arguments.data_root) for spec in specs]
    done = [not arguments.force and is_done(cell.folder) for cell in prepared]
    if not arguments.as_json:
        for note in notes:
            print(f"left out: {note}", file=sys.stderr)
    if arguments.dry_run:
        _print_plan(arguments, prepared, done)
        return 0
    outcomes, usage = _work(arguments, prepared, done, device)
    _print_results(arguments, outcomes)
    return 0 if not any(o.error for o in outcomes) else 2 if usage else 1


def _grid(arguments: RunArguments) -> tuple[list[RunSpec], list[str]]:
    datasets = list(arguments.datasets)
    if "all" in datasets:
        datasets = list_tasks(arguments.suite)
    shots: list[Shots] = []
    for text in arguments.shots:
        if text != "all" and not text.isdecimal():
            raise InputError(f"--shots wants numbers of images per class or 'all', not '{text}'")
        shots.append("all" if text == "all" else int(text))
    seeds: list[int] = []
    for text in arguments.seeds:
        if text != "all" and not text.isdecimal():
            raise InputError(f"--seed wants whole numbers or 'all', not '{text}'")
        seeds += list(OFFICIAL_SEEDS) if text == "all" else [int(text)]
    return expand_grid(
        models=arguments.models,
        suite=arguments.suite,
        datasets=datasets,
        modes=list(MODES) if "all" in arguments.modes else arguments.modes,
        shots=shots,
        seeds=seeds,
        base={
            "protocol": arguments.protocol,
            "weights": arguments.weights,
            "attributes": arguments.attributes,
            "overrides": arguments.overrides,
            "precision": arguments.precision,
            "eval_split": arguments.eval_split,
        },
    )


def _work(
    arguments: RunArguments, prepared: Sequence[Any], done: Sequence[bool], device: str
) -> tuple[list[Outcome], bool]:
    """Run every cell; the flag says whether some failed for unusable input."""
    from odinw_bench.records import BusyError, read_record
    from odinw_bench.runner import execute

    outcomes: list[Outcome] = []
    usage = False
    with _Progress(len(prepared), show=not arguments.quiet and not arguments.as_json) as progress:
        for cell, finished in zip(prepared, done, strict=True):
            spec = cell.spec
            name = f"{spec.model} {cell.task.name} {spec.mode} {spec.shots}-shot seed {spec.seed}"
            if finished:
                outcomes.append(Outcome(spec, read_record(cell.folder), cell.folder, was_done=True))
                progress.advance(f"{name}: done before")
                continue
            progress.begin(name)
            try:
                record = execute(
                    cell,
                    device=device,
                    force=arguments.force,
                    cache_budget=int(arguments.cache_gb * 2**30),
                    say=progress.say,
                )
                outcomes.append(Outcome(spec, record, cell.folder))
                progress.advance(f"{name}: AP {number(record['metrics']['AP'])}")
            except BusyError as error:
                outcomes.append(Outcome(spec, None, cell.folder, error=str(error)))
                progress.advance(f"{name}: {error}")
            except Exception as error:
                usage = usage or isinstance(error, InputError)
                text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                outcomes.append(Outcome(spec, None, cell.folder, error=" ".join(text.split())))
                progress.advance(f"{name}: failed")
                if arguments.debug:
                    traceback.print_exc()
    return outcomes, usage


class _Progress:
    """A bar on a terminal; when piped, a line per finished run."""

    def __init__(self, total: int, *, show: bool) -> None:
        self.total, self.finished = total, 0
        self.lines = show and not sys.stderr.isatty()
        self.bar: Progress | None = None
        self.name = ""
        if show and not self.lines:
            from rich.console import Console

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> _Progress:
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def begin(self, name: str) -> None:
        """A run begins."""
        self.name, self.started = name, time.perf_counter()
        self.say("")

    def say(self, text: str) -> None:
        """Something happened within a run."""
        if self.bar:
            self.bar.update(self.task, description=f"{self.name} {text}")

    def advance(self, text: str) -> None:
        """A run ended."""
        self.finished += 1
        if self.bar:
            self.bar.update(self.task, advance=1)
        if self.lines:
            print(f"[{self.finished}/{self.total}] {text}", file=sys.stderr, flush=True)


def _print_plan(arguments: RunArguments, prepared: Sequence[Any], done: Sequence[bool]) -> None:
    cells = [
        {"folder": str(cell.folder), "done": finished, "images": len(cell.test)}
        for cell, finished in zip(prepared, done, strict=True)
    ]
    if arguments.as_json:
        print_json({"cells": cells})
        return
    print(f"{len(cells)} runs, {sum(done)} done, {len(cells) - sum(done)} to do; nothing was run")
    for cell in cells:
        print(f"  {'done ' if cell['done'] else 'to do'}  {cell['folder']}")


def _print_results(arguments: RunArguments, outcomes: Sequence[Outcome]) -> None:
    if arguments.as_json:
        print_json(
            [{"folder": str(o.folder), "error": o.error, "record": o.record and _brief(o.record)} for o in outcomes]
        )
        return
    columns = ["model", "dataset", "mode", "shots", "seed", "AP", "AP50", "tune s", "test s", "tuned values"]
    rows = []
    for o in outcomes:
        spec = o.spec
        start = [spec.model, o.folder.parent.name, spec.mode, str(spec.shots), str(spec.seed)]
        if o.record is None:
            rows.append([*start, "failed", "", "", "", ""])
            continue
        metrics, cost = o.record["metrics"], o.record["cost"]
        rows.append(
            [
                *start,
                number(metrics["AP"]),
                number(metrics["AP50"]),
                number(cost["tune_seconds"]),
                number(cost["test_seconds"]),
                f"{cost['tuned_parameters']:,}",
            ]
        )
    rows += _means(outcomes)
    suite = arguments.suite
    title = f"{suite}: AP in percent on '{arguments.eval_split}'"
    if suite == "mini":
        title += " (drawn miniature; not comparable with ODinW's numbers)"
    console().print(table(title, columns, rows, numbers=columns[5:]))
    for o in outcomes:
        if o.error:
            fail(InputError(f"{o.folder.parent.name} {o.spec.mode} {o.spec.shots}-shot seed {o.spec.seed}: {o.error}"))
    again = sum(o.was_done for o in outcomes)
    print(f"records: {arguments.results}" + (f" ({again} were done before)" if again else ""))


def _means(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A mean row per model, mode, shots and seed that has several datasets, all of them done."""
    groups: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for o in outcomes:
        spec = o.spec
        groups.setdefault((spec.model, spec.mode, str(spec.shots), str(spec.seed)), []).append(o)
    rows = []
    for (model, mode, shots, seed), members in groups.items():
        records = [o.record for o in members if o.record is not None]
        if len(members) < 2 or len(records) < len(members):
            continue

        def mean(kind: str, name: str, records: list[dict[str, Any]] = records) -> str:
            values = [r[kind][name] for r in records if r[kind][name] is not None]
            return number(statistics.fmean(values)) if values else "-"

        rows.append(
            [
                model,
                f"mean of {len(members)}",
                mode,
                shots,
                seed,
                mean("metrics", "AP"),
                mean("metrics", "AP50"),
                mean("cost", "tune_seconds"),
                mean("cost", "test_seconds"),
                "",
            ]
        )
    return rows


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps({k: record[k] for k in ("spec", "status", "metrics", "cost")}))
