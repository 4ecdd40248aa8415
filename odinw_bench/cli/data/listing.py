"""``odinw-bench data list``: the tasks of a suite."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from odinw_bench.cli._console import console, print_json, table, write_line
from odinw_bench.cli._names import DEFAULT_IN_WORDS, pick_suite
from odinw_bench.cli._options import SUITES, DataRoot, Debug, Json

app = typer.Typer()


@app.command("list")
def list_(
    suite: Annotated[str, typer.Option("--suite", help=f"{SUITES}. {DEFAULT_IN_WORDS}")] = "",
    data_root: DataRoot = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The tasks of a suite: classes, images, licence, source, and whether the data are here."""
    from odinw_bench.datasets.listing import list_table

    suite = pick_suite(suite, data_root, quiet=as_json)
    rows = list_table(suite, data_root)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ["name", "title", "classes", "train", "val", "test", "here", "licence"]
    cells = []
    for row in rows:
        names = ", ".join(row.classes)
        shown = names if len(names) <= 44 else f"{names[:40]}... ({len(row.classes)})"
        counts = [
            "?" if row.images.get(split) is None else str(row.images[split]) for split in ("train", "val", "test")
        ]
        cells.append([row.name, row.title, shown, *counts, row.present, row.licence or "not known"])
    if any(row.present != "yes" for row in rows):
        write_line("where data come from: --json names the zips on the hub and the Roboflow projects", file=sys.stderr)
    console().print(table(f"Suite {suite}: {len(rows)} tasks", columns, cells, numbers=("train", "val", "test")))
