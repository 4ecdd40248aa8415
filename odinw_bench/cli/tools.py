"""Arguments of the commands about the program itself and its embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import Debug, Json

app = typer.Typer()


@app.command()
def pretrain(
    model: Annotated[str, typer.Option("--model", help="glip-nano or dyhead-nano.")] = "glip-nano",
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps of 16 images; the rate falls to 0 at the last.")
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and data.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoint and the learning curve.")] = Path(
        "pretraining"
    ),
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that draw scenes.")] = 1,
    debug: Debug = False,
) -> None:
    """Train an embedded model again, from nothing. A stopped training goes on with the same command."""
    from odinw_bench.commands.pretrain import command

    command(model, steps, seed, out, workers)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Versions, devices, caches and free disk: for bug reports."""
    from odinw_bench.commands.doctor import command

    command(as_json)
