"""``odinw-bench data check``: what the data of tasks hold, and what is wrong with them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import console, print_json, table, write_line
from odinw_bench.cli._grids import is_on_command_line
from odinw_bench.cli._names import DEFAULT_IN_WORDS, paths_first, pick_suite
from odinw_bench.cli._options import SUITES, DataRoot, Debug, Json, Listed, parse_seeds, parse_shots, split_list

if TYPE_CHECKING:
    from odinw_bench.datasets.checks import Checked, Finding

TICK_SECONDS = 5.0
app = typer.Typer()


@app.command("check")
def check(
    context: typer.Context,
    data: Annotated[
        list[str], typer.Argument(metavar="DATA", help="Data sets in any form, or names of tasks, as --dataset.")
    ] = [],
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, folders or 'all'.")] = ["all"],
    suite: Annotated[str, typer.Option("--suite", help=f"{SUITES}. {DEFAULT_IN_WORDS}")] = "",
    data_root: DataRoot = None,
    shots: Annotated[
        Listed, typer.Option("--shots", help="Also say what these few-shot subsets hold: 1,3,5,10 or 'all'.")
    ] = [],
    seed: Annotated[Listed, typer.Option("--seed", help="Their seeds, or 'all' for 3, 30 and 300.")] = ["3"],
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Decode and hash every picture, or read annotations only.")
    ] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Read every annotation and picture of tasks; report what they hold and what is wrong.

    Exit code 1 where something makes numbers wrong or runs fail: unusable annotations, missing or broken pictures,
    other sizes than stated, one picture in two splits.

    ```
    odinw-bench data check my/folder --shots 5
    odinw-bench data check --suite odinw13 --data-root DATA
    ```
    """
    from odinw_bench.datasets.checks import check_task
    from odinw_bench.datasets.names import load_tasks, task_labels
    from odinw_bench.datasets.registry import load_suite

    suite = pick_suite(suite, data_root, quiet=as_json)
    listed = split_list(dataset) if not data or is_on_command_line(context, "dataset") else []
    datasets = paths_first([*data, *listed], quiet=as_json)
    tasks = load_suite(suite) if "all" in datasets else load_tasks(datasets, suite)
    seeds = parse_seeds(split_list(seed))
    pairs = [(number, one) for number in map(parse_shots, split_list(shots)) for one in seeds]
    checked = []
    absent = []
    for task, label in zip(tasks, task_labels(tasks), strict=True):
        try:
            one = check_task(task, data_root, subsets=pairs, pictures=pictures, tick=_Tick(label))
            checked.append(replace(one, task=label))
        except InputError as error:
            absent.append(str(error))
    if as_json:
        print_json([{**asdict(one), "sound": one.sound} for one in checked])
    else:
        _print(checked)
    if absent:
        more = f" (and {len(absent) - 1} more tasks)" if len(absent) > 1 else ""
        raise InputError(absent[0] + more)
    if not all(one.sound for one in checked):
        raise typer.Exit(1)


class _Tick:
    """Says where a long check is."""

    def __init__(self, task: str) -> None:
        self.task, self.last = task, time.monotonic()

    def __call__(self, split: str, done: int, total: int) -> None:
        if time.monotonic() > self.last + TICK_SECONDS:
            self.last = time.monotonic()
            write_line(f"{self.task} {split}: {done} of {total} pictures", file=sys.stderr, flush=True)


def _print(checked: Sequence[Checked]) -> None:
    numbers = ["images", "boxes", "crowd", "without boxes"]
    rows = [
        [
            *(one.task, split),
            *map(str, (found.images, found.boxes, found.crowd, found.empty)),
            one.pictures_sha256.get(split, "-")[:12],
            _listed(found.classes),
        ]
        for one in checked
        for split, found in one.counts.items()
    ]
    if rows:
        columns = ["task", "split", *numbers, "pictures' hash", "boxes by class"]
        console().print(table("What the data hold", columns, rows, numbers=numbers))
    subsets = [
        [one.task, str(part.shots), str(part.seed), part.made, str(part.images), _subset(part.classes)]
        for one in checked
        for part in one.subsets
    ]
    if subsets:
        columns = ["task", "shots", "seed", "made", "images", "images (boxes) by class"]
        console().print(table("Few-shot subsets of the training split", columns, subsets, numbers=("images",)))
    findings = [
        [_severity(found), one.task, found.split, found.kind, str(found.count), "; ".join(found.examples)]
        for one in checked
        for found in one.findings
    ]
    if findings:
        columns = ["", "task", "split", "finding", "times", "for example"]
        console().print(table("What is wrong or odd", columns, findings, numbers=("times",)))
    for one in checked:
        write_line(f"{one.task}: {'sound' if one.sound else 'has errors'}")


def _severity(finding: Finding) -> str:
    from odinw_bench.datasets.checks import ERRORS

    return "error" if finding.kind in ERRORS else "note"


def _listed(classes: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in classes.items())


def _subset(classes: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {images} ({boxes})" for name, (images, boxes) in classes.items())
