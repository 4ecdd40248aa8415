"""``odinw-bench watch``: a grid that runs elsewhere."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import console, number, print_json, table
from odinw_bench.cli._options import Debug, Json

if TYPE_CHECKING:
    from rich.table import Table

    from odinw_bench.runs.begun import Progress
    from odinw_bench.runs.progress import Running

app = typer.Typer()


@app.command()
def watch(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder of the run records.")] = Path("results"),
    once: Annotated[bool, typer.Option("--once", help="Show it as it is now, and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 2.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What is running in a results folder, started from any terminal or computer, and what is done.

    It reads what runs write on their way, and changes nothing. Of grids that are at work it says how many of their runs
    are done. A run whose process died is shown as silent; the
    command that started it takes it up again. Ctrl-C ends it; where the output is no terminal it looks once.

    For example:

    ```
    odinw-bench watch results
    odinw-bench watch results --once --json
    ```
    """
    if not results.is_dir():
        raise InputError(f"there is no results folder '{results}' (yet)")
    counted = _Records(results)
    if as_json:
        print_json(_json(results, counted))
    elif once or not sys.stdout.isatty():
        console().print(_show(results, counted))
    else:
        _keep_watching(results, counted, every)


def _keep_watching(results: Path, counted: _Records, every: float) -> None:
    from rich.live import Live

    try:
        with Live(_show(results, counted), console=console(), auto_refresh=False) as live:
            while True:
                time.sleep(every)
                live.update(_show(results, counted), refresh=True)
    except KeyboardInterrupt:
        return


class _Records:
    """The records below a folder; each is read once as long as it is not replaced."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.seen: dict[str, tuple[float, str]] = {}

    def __call__(self) -> dict[str, tuple[float, str]]:
        """By folder relative to the results: when the record was written, and its status."""
        from odinw_bench.runs.record import RECORD, read_record
        from odinw_bench.utils.folders import find_folders

        found = {}
        for folder in find_folders(self.results, RECORD):
            place = folder.relative_to(self.results).as_posix()
            try:
                stamp = (folder / RECORD).stat().st_mtime
                known = self.seen.get(place)
                found[place] = known if known and known[0] == stamp else (stamp, read_record(folder).status)
            except (OSError, InputError):
                continue
        self.seen = found
        return found


def _counts(records: dict[str, tuple[float, str]]) -> dict[str, int]:
    statuses = [status for _, status in records.values()]
    return {status: statuses.count(status) for status in ("done", "failed")}


def _grids(results: Path, records: dict[str, tuple[float, str]], running: list[Running]) -> list[Progress]:
    from odinw_bench.runs.begun import Progress, find_begun

    living = {one.folder.relative_to(results).as_posix() for one in running if one.lives}
    return [Progress.of(grid, records, living) for grid in find_begun(results)]


def _json(results: Path, counted: _Records) -> dict[str, Any]:
    from odinw_bench.runs.progress import find_running

    found, records = list(find_running(results)), counted()
    running = [
        {"folder": str(one.folder), "lives": one.lives, "silent_seconds": round(one.silent, 1), **one.state}
        for one in found
    ]
    grids = [vars(one) for one in _grids(results, records, found)]
    return {"records": _counts(records), "grids": grids, "running": running}


def _show(results: Path, counted: _Records) -> Table:
    from odinw_bench.runs.progress import find_running

    found, records = list(find_running(results)), counted()
    rows = [_row(one) for one in found]
    parts = [f"{len(rows)} running", *(f"{count} {status}" for status, count in _counts(records).items())]
    columns = ["run", "what", "loss", "validation AP", "best", "running", "left"]
    title = f"{results}: {', '.join(parts)} ({time.strftime('%H:%M:%S')})"
    title += "".join(f"\ngrid: {one.text}" for one in _grids(results, records, found))
    return table(title, columns, rows, numbers=columns[2:])


def _row(one: Running) -> list[str]:
    from odinw_bench.utils.text import duration

    state, line = one.state, one.history or {}
    what = str(state.get("stage", ""))
    if "epochs" in state:
        what += f", epoch {state.get('epoch')}/{state['epochs']}"
    if "images" in state:
        what += f", image {state.get('image')}/{state['images']}"
    left = state.get("seconds_left")
    if not one.lives:
        what, left = f"silent for {duration(one.silent)}; its process may be gone", None
    return [
        str(state.get("run", one.folder.name)),
        what,
        number(state.get("loss"), 3),
        number(line.get("validation_AP")),
        number(state.get("best_AP")),
        duration(max(0.0, time.time() - float(state.get("started") or time.time()))),
        "-" if left is None else duration(left),
    ]
