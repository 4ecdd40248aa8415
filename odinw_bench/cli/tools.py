"""Arguments of the commands about the program itself and its embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import Debug, Json

app = typer.Typer()


@app.command()
def pretrain(
    model: Annotated[
        str, typer.Option("--model", help="dyhead-nano, glip-nano-a, glip-nano-b, glip-nano-c or glip-nano.")
    ] = "glip-nano",
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Stop after so many steps. Default: the whole recipe.")
    ] = None,
    schedule: Annotated[
        int | None,
        typer.Option("--schedule", min=1, help="Steps until the rate is 0. Default: the recipe's."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and data.")] = 0,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="Model (or file) whose vision to begin with. Default: dyhead-nano."),
    ] = None,
    whole: Annotated[
        str | None, typer.Option("--whole", help="Model (or file) all of whose weights to begin with.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="Finds the boxes of captions: a model or its file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of checkpoint and learning curve. Default: pretraining/MODEL.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that draw scenes.")] = 1,
    debug: Debug = False,
) -> None:
    """Train an embedded model again, from nothing. A stopped training goes on with the same command.

    The whole ladder, in the order in which each needs the one before:

        odinw-bench pretrain --model dyhead-nano
        odinw-bench pretrain --model glip-nano-c --backbone pretraining/dyhead-nano/dyhead-nano.safetensors
        odinw-bench pretrain --model glip-nano --whole pretraining/glip-nano-c/glip-nano-c.safetensors --teacher ...

    Without --backbone, --whole and --teacher the package's own weights of these models are taken.
    """
    from odinw_bench.commands.pretrain import command

    changes = {"steps": schedule, "seed": seed, "backbone": backbone, "whole": whole, "teacher": teacher}
    command(
        model,
        {name: value for name, value in changes.items() if value is not None},
        until=steps,
        out=out or Path("pretraining") / model,
        workers=workers,
    )


@app.command()
def protocol(
    name: Annotated[str | None, typer.Argument(help="odinw-glip, quick or mini. Default: say what there is.")] = None,
    shots: Annotated[str, typer.Option("--shots", help="Images per class, or 'all'.")] = "5",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The hyper-parameters of a protocol, by mode; `run --set NAME=VALUE` changes them."""
    from odinw_bench.commands.protocol import command

    command(name, shots, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Versions, devices, caches and free disk: for bug reports."""
    from odinw_bench.commands.doctor import command

    command(as_json)
