"""Arguments of the commands that read run records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import Debug, Json

app = typer.Typer()


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="Folder of a run record.")], as_json: Json = False, debug: Debug = False
) -> None:
    """One run record: metrics per class, cost, data, environment."""
    from odinw_bench.commands.show import command

    command(record, as_json)
