"""``odinw-bench data download``: the data of tasks, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._options import Debug, Json, Listed, split_list

if TYPE_CHECKING:
    from odinw_bench.datasets.download import SourceName
    from odinw_bench.datasets.task import Task

app = typer.Typer()


@app.command("download")
def download(
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names or 'all'.")] = ["all"],
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            help="odinw13, odinw35, coco, lvis-minival, lvis, flickr30k, refcoco, refcoco+, refcocog, rf100vl, rf20vl.",
        ),
    ] = "odinw13",
    data_root: Annotated[
        Path, typer.Option("--data-root", help="Folder to put them in.", envvar="ODINW_DATA_ROOT")
    ] = Path("data"),
    source: Annotated[str, typer.Option("--source", help="auto, hub (the official zips) or roboflow.")] = "auto",
    part: Annotated[
        Listed,
        typer.Option("--part", help="Of other suites than ODinW's: test, train, and for rf100vl and rf20vl 10-shot."),
    ] = [],
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the sizes and licences that are said.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Get the data of tasks: ODinW's official zips, Roboflow's exports, or the public files of other suites.

    The same command resumes an interrupted download; a partial download is never taken for a complete one. Roboflow
    wants a key (ROBOFLOW_API_KEY, or 'roboflow login'). Public files are named with size and licence before anything
    begins, and wanted is a yes.

    ```
    odinw-bench data download --dataset aquarium,raccoon --data-root DATA
    odinw-bench data check --dataset aquarium,raccoon --data-root DATA
    odinw-bench data download --suite coco --data-root DATA
    odinw-bench data download --suite rf20vl --data-root DATA
    ```
    """
    from odinw_bench.cli.data._public import download_public
    from odinw_bench.datasets.download.public import has_public_files

    name, parts, data_root = suite.lower(), split_list(part), data_root.expanduser()
    rows: list[dict[str, str]] = []
    if has_public_files(name):
        download_public(name, parts, data_root, yes=yes, rows=rows, as_json=as_json, say=_say)
        errors = []
    else:
        errors = _tasks(dataset, name if name in ("rf100vl", "rf20vl") else suite, parts, data_root, source, rows,
                        as_json=as_json)  # fmt: skip
    if as_json:
        print_json(rows)
    if len(errors) == 1:
        raise InputError(errors[0])
    if errors:
        for text in errors[:-1]:
            write_line(f"error: {text}", file=sys.stderr)
        raise InputError(errors[-1])
    if not as_json:
        write_line(f"run with --suite {suite} --data-root {data_root}")


def _tasks(
    dataset: list[str],
    suite: str,
    parts: list[str],
    data_root: Path,
    source: str,
    rows: list[dict[str, str]],
    *,
    as_json: bool,
) -> list[str]:
    """Get the data of tasks one after the other; returns what failed, in words."""
    from odinw_bench.datasets.names import load_tasks
    from odinw_bench.datasets.registry import load_suite

    datasets = split_list(dataset)
    tasks = load_suite(suite) if "all" in datasets else load_tasks(datasets, suite)
    get = _getter(suite, parts, source)
    errors = []
    for task in tasks:
        try:
            found = get(task, data_root)
        except InputError as error:
            errors.append(str(error))
            rows.append({"task": task.name, "outcome": "failed", "error": str(error)})
            continue
        for outcome, folder in found:
            rows.append({"task": task.name, "outcome": outcome, "folder": str(folder)})
            if not as_json:
                write_line(f"{task.name}: {outcome}, {folder}")
    return errors


def _getter(suite: str, parts: list[str], source: str) -> Callable[[Task, Path], list[tuple[str, Path]]]:
    """What brings the data of a task of a suite below the data root."""
    if suite in ("rf100vl", "rf20vl"):
        from odinw_bench.datasets.download import rf100vl

        wanted = rf100vl.parts_of(parts, source)
        return lambda task, root: [rf100vl.download(task, root, part, _say) for part in wanted]
    if parts:
        raise InputError(f"--part is for other suites than '{suite}', whose tasks are downloaded whole")
    from odinw_bench.datasets.download import SOURCES, download_task

    if source not in SOURCES:
        raise InputError(f"--source must be one of {', '.join(SOURCES)}, not '{source}'")

    def official(task: Task, root: Path) -> list[tuple[str, Path]]:
        done = download_task(task, root, cast("SourceName", source), _say)
        return [(done.outcome, done.folder)]

    return official


def _say(text: str) -> None:
    write_line(text, file=sys.stderr, flush=True)
