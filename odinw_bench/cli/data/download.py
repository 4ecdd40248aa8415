"""``odinw-bench data download``: the data of tasks, one after the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._options import Debug, Json, Listed, split_list

if TYPE_CHECKING:
    from odinw_bench.datasets.download import SourceName

app = typer.Typer()


@app.command("download")
def download(
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names or 'all'.")] = ["all"],
    suite: Annotated[str, typer.Option("--suite", help="odinw13 or odinw35.")] = "odinw13",
    data_root: Annotated[
        Path, typer.Option("--data-root", help="Folder to put them in.", envvar="ODINW_DATA_ROOT")
    ] = Path("data"),
    source: Annotated[str, typer.Option("--source", help="auto, hub (the official zips) or roboflow.")] = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Get the data of tasks: the official zips from the hub, or Roboflow's exports.

    The same command resumes an interrupted download; a partial download is never taken for a complete one. Roboflow
    wants a key (ROBOFLOW_API_KEY, or 'roboflow login').

    ```
    odinw-bench data download --dataset aquarium,raccoon --data-root DATA
    odinw-bench data check --dataset aquarium,raccoon --data-root DATA
    ```
    """
    from odinw_bench.datasets.download import download_task
    from odinw_bench.datasets.names import load_tasks
    from odinw_bench.datasets.registry import load_suite

    datasets = split_list(dataset)
    tasks = load_suite(suite) if "all" in datasets else load_tasks(datasets, suite)
    rows: list[dict[str, str]] = []
    errors = []
    for task in tasks:
        try:
            done = download_task(task, data_root, cast("SourceName", source), _say)
        except InputError as error:
            errors.append(str(error))
            rows.append({"task": task.name, "outcome": "failed", "error": str(error)})
            continue
        rows.append({"task": task.name, "outcome": done.outcome, "folder": str(done.folder)})
        if not as_json:
            write_line(f"{task.name}: {done.outcome}, {done.folder}")
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


def _say(text: str) -> None:
    write_line(text, file=sys.stderr, flush=True)
