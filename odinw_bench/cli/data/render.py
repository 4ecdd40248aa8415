"""``odinw-bench data render``: the miniature suite as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.cli._console import write_line
from odinw_bench.cli._options import Debug, Listed, split_list

app = typer.Typer()


@app.command("render")
def render(
    out: Annotated[Path, typer.Option("--out", help="Where to write the COCO folders.")] = Path("mini"),
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names or 'all'.")] = ["all"],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write only a contact sheet, a PNG, to this file.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the miniature suite as ordinary COCO folders, or one picture that shows its tasks.

    Running from the folders gives the same numbers as the embedded suite:

    ```
    odinw-bench data render --out mini
    odinw-bench run --dataset mini/aquarium --mode prompt --shots 5
    ```
    """
    from odinw_bench.datasets.names import load_tasks
    from odinw_bench.mini import contact_sheet, task_names, write_suite
    from odinw_bench.utils.io import replacing

    datasets = split_list(dataset)
    names = task_names() if "all" in datasets else [task.name for task in load_tasks(datasets, "mini")]
    if sheet is not None:
        with replacing(sheet) as temporary:
            contact_sheet(names).save(temporary, format="PNG")
        write_line(f"{sheet}: {len(names)} tasks; a star marks names that pre-training never shows")
        return
    written = write_suite(out, names, progress=lambda folder: write_line(folder, file=sys.stderr, flush=True))
    write_line(
        f"{out}: {len(names)} tasks, {len(written)} splits; run with --suite {out} or --dataset {out}/{names[0]}"
    )
