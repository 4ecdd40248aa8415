"""Arguments of the command that measures cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import Debug, Device, Json, Listed, split_list

app = typer.Typer()


@app.command()
def profile(
    model: Annotated[Listed, typer.Option("--model", help="Detectors, such as glip-t,glip-l,dyhead-t.")] = ["glip-t"],
    fusion: Annotated[Listed, typer.Option("--fusion", help="on, off, or both: on,off.")] = ["on", "off"],
    phase: Annotated[Listed, typer.Option("--phase", help="inference, training (a full-tuning step), or both.")] = [
        "inference"
    ],
    batch: Annotated[Listed, typer.Option("--batch", help="Images at a time: numbers.")] = ["1"],
    precision: Annotated[Listed, typer.Option("--precision", help="fp32, bf16, fp16.")] = ["fp32"],
    photo: Annotated[str, typer.Option("--photo", help="WIDTHxHEIGHT of the photo before resizing.")] = "1024x768",
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Passes that count, after one to warm up.")] = 10,
    device: Device = "auto",
    out: Annotated[Path, typer.Option("--out", help="Folder for profile.json and profile.png.")] = Path("profile"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Speed and memory with and without deep fusion, and where the time goes; the paper's Table 7 beside it.

    Weights are random (the cost is the same), so nothing is downloaded. Every setting runs in a process of its own.

    For example:

        odinw-bench profile --model glip-t --fusion on,off --precision fp32,bf16
        odinw-bench profile --model glip-t,glip-l --phase inference,training --batch 1,8 --device cuda
    """
    from odinw_bench.commands.profile import ProfileArguments, command

    raise typer.Exit(
        command(
            ProfileArguments(
                models=split_list(model),
                fusion=split_list(fusion),
                phases=split_list(phase),
                batches=split_list(batch),
                precisions=split_list(precision),
                photo=photo,
                repeats=repeats,
                device=device,
                out=out,
                as_json=as_json,
            )
        )
    )
