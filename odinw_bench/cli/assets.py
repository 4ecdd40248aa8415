"""Arguments of the commands about models and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import DataRoot, Debug, Json, Listed, split_list

app = typer.Typer()
models_app = typer.Typer(no_args_is_help=True, help="The detectors: list them, read their cards.")
data_app = typer.Typer(no_args_is_help=True, help="The datasets: list them, render the miniature.")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")


@models_app.command("list")
def models_list(as_json: Json = False, debug: Debug = False) -> None:
    """The detectors: what they are, where their weights come from and whether they are here."""
    from odinw_bench.commands.models import command

    command(as_json)


@models_app.command("card")
def models_card(
    model: Annotated[Listed, typer.Option("--model", help="Embedded models, or 'all'.")] = ["all"],
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of run records: the test numbers come from them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for one Markdown file each; default: print.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Model cards of the embedded models: architecture, recipe, time, and what they reach in the records given."""
    from odinw_bench.commands.models import card_command

    card_command(split_list(model), results, out)


@data_app.command("list")
def data_list(
    suite: Annotated[str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder.")] = "odinw13",
    data_root: DataRoot = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The tasks of a suite: classes, images, licence, source, and whether the data are here."""
    from odinw_bench.commands.data import list_command

    list_command(suite, data_root, as_json)


@data_app.command("render")
def data_render(
    out: Annotated[Path, typer.Option("--out", help="Where to write the COCO folders.")] = Path("mini"),
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names or 'all'.")] = ["all"],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write only a contact sheet, a PNG, to this file.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the miniature suite as ordinary COCO folders, or one picture that shows its tasks.

    Running from the folders gives the same numbers as the embedded suite:

        odinw-bench data render --out mini
        odinw-bench run --dataset mini/aquarium --mode prompt --shots 5
    """
    from odinw_bench.commands.data import render_command

    render_command(out, split_list(dataset), sheet)
