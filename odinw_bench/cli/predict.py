"""Arguments of the command that detects things in photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import Debug, Device, Json, Listed

app = typer.Typer()


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Photos.")],
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Classes separated by '. '; words after a comma are attributes.")
    ] = None,
    classes: Annotated[
        Listed, typer.Option("--class", help="A class by its plain name, dots and commas included; may be repeated.")
    ] = [],
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of a run record: use its model, prompt and what it tuned.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The detector, without --run.")] = "glip-nano",
    weights: Annotated[
        str | None, typer.Option("--weights", help="A checkpoint, another model's name, or 'random' to try the cost.")
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="Draw detections from this score on.")
    ] = 0.3,
    out: Annotated[Path, typer.Option("--out", help="Folder of the annotated pictures and JSON files.")] = Path(
        "predictions"
    ),
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Detect things in photos: writes NAME.boxes.png and NAME.boxes.json for each.

    The JSON holds every detection of the model (scores over 0.05); the picture those from --threshold on.

    For example:

        odinw-bench predict photo.jpg --prompt "fish. stingray, which is flat and round" --model glip-t
        odinw-bench predict photo.jpg --run results/odinw13/glip-nano/raccoon/full-5shot-seed3-1a2b3c4d
    """
    from odinw_bench.commands.predict import command

    command(
        images,
        prompt=prompt,
        classes=classes,
        run_folder=run_folder,
        model=model,
        weights=weights,
        threshold=threshold,
        out=out,
        device=device,
        as_json=as_json,
    )
