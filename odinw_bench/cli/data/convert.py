"""``odinw-bench data convert``: a data set of any form as COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.cli._console import write_line
from odinw_bench.cli._options import Debug

app = typer.Typer()


@app.command("convert")
def convert(
    path: Annotated[Path, typer.Argument(help="A folder in any form, a COCO .json, YOLO's data.yaml or a task file.")],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    debug: Debug = False,
) -> None:
    """Write a data set as COCO: train/, valid/ and test/, each with its pictures and _annotations.coco.json.

    Understood are COCO in its common layouts (also of CVAT, Label Studio, Roboflow), YOLO, Pascal VOC and Hugging
    Face's folders. Splits that are missing are made by a rule that depends on the pictures alone.

    ```
    odinw-bench data convert my/yolo/folder --out my/coco/folder
    ```
    """
    from odinw_bench.datasets.convert import convert as write
    from odinw_bench.datasets.folder import read_folder

    task = read_folder(path.expanduser())  # never an official task of this name
    for note in task.notes:
        write_line(note)
    done = write(task, out)
    counts = ", ".join(f"{count} {split}" for split, count in done.images.items())
    write_line(f"{out}: {task.form} as COCO, {counts}; classes: {', '.join(task.class_names)}")
    write_line(f"run with --dataset {out}")
