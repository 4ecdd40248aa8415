"""``odinw-bench data``: list and render."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from odinw_bench.commands.output import console, print_json, table
from odinw_bench.datasets.listing import list_table


def list_command(suite: str, data_root: Path | None, as_json: bool) -> None:
    """Print the tasks of a suite."""
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
        print("where data come from: --json names the zips on the hub and the Roboflow projects", file=sys.stderr)
    console().print(table(f"Suite {suite}: {len(rows)} tasks", columns, cells, numbers=("train", "val", "test")))


def render_command(out: Path, datasets: list[str], sheet: Path | None) -> None:
    """Write the miniature suite, or its contact sheet."""
    from odinw_bench.datasets.registry import load_task
    from odinw_bench.mini import contact_sheet, task_names, write_suite
    from odinw_bench.utils.io import replacing

    names = task_names() if "all" in datasets else [load_task(name, "mini").name for name in datasets]
    if sheet is not None:
        with replacing(sheet) as temporary:
            contact_sheet(names).save(temporary, format="PNG")
        print(f"{sheet}: {len(names)} tasks; a star marks names that pre-training never shows")
        return
    written = write_suite(out, names, progress=lambda folder: print(folder, file=sys.stderr, flush=True))
    print(f"{out}: {len(names)} tasks, {len(written)} splits; run with --suite {out} or --dataset {out}/{names[0]}")
