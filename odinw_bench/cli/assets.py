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


@data_app.command("download")
def data_download(
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

    What is interrupted is gone on with by the same command; what is half there is never taken for whole. Roboflow
    wants a key (ROBOFLOW_API_KEY, or 'roboflow login').

        odinw-bench data download --dataset aquarium,raccoon --data-root DATA
        odinw-bench data check --dataset aquarium,raccoon --data-root DATA
    """
    from odinw_bench.commands.data_download import command

    command(split_list(dataset), suite, data_root, source, as_json)


@data_app.command("check")
def data_check(
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, folders or 'all'.")] = ["all"],
    suite: Annotated[str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder.")] = "odinw13",
    data_root: DataRoot = None,
    shots: Annotated[
        Listed, typer.Option("--shots", help="Also say what these few-shot subsets hold: 1,3,5,10 or 'all'.")
    ] = [],
    seed: Annotated[Listed, typer.Option("--seed", help="Their seeds, or 'all' for 3, 30 and 300.")] = ["3"],
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Decode and hash every picture, or read annotations only.")
    ] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Read every annotation and picture of tasks; report what they hold and what is wrong.

    Exit code 1 where something makes numbers wrong or runs fail: unusable annotations, missing or broken pictures,
    other sizes than stated, one picture in two splits.

        odinw-bench data check --dataset my/folder --shots 5
    """
    from odinw_bench.commands.data_check import command

    command(split_list(dataset), suite, data_root, split_list(shots), split_list(seed), pictures, as_json)


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
