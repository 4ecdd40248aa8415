"""``odinw-bench report``: records in, tables, figures and a page out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._options import DataRoot, Debug, Json, Listed, OwnData, split_list

app = typer.Typer()


@app.command()
def report(
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("reports"),
    title: Annotated[str, typer.Option("--title", help="Heading of the report.")] = "ODinW benchmark report",
    pictures: Annotated[
        int, typer.Option("--pictures", min=0, help="Worst and best test images a task, each; 0: no gallery.")
    ] = 2,
    data_root: DataRoot = None,
    data: OwnData = None,
    section: Annotated[
        Listed, typer.Option("--section", help="Further sections of each suite: functions, as PACKAGE.MODULE:FUNCTION.")
    ] = [],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Tables, figures and one self-contained page out of run records: no model is loaded.

    Writes report.html, report.md, tables/*.tex and *.csv, figures/*.png and *.svg. For example:

    ```
    odinw-bench run --dataset aquarium,pothole --mode zero-shot,prompt \
        --shots 1,5 --seed all
    odinw-bench report --results results --out reports
    ```
    """
    from odinw_bench.report import ReportSettings, build_report

    settings = ReportSettings(
        results,
        out,
        title=title,
        pictures=pictures,
        data_root=data_root,
        data=tuple(data or ()),
        sections=split_list(section),
    )
    written = build_report(settings, say=lambda text: write_line(text, file=sys.stderr, flush=True))
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    write_line(f"written: {written[0]}, {written[1]} and {len(written) - 2} tables and figures in {settings.out}")
