"""``odinw-bench predict``: boxes on photos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._looking import ClassSearch, PhraseSearch, Search, Sentence
from odinw_bench.cli._options import Debug, Device, Json, LenientWeights, Listed

if TYPE_CHECKING:
    from glip_core import Prompt
    from odinw_bench.models import Model

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
    ground: Annotated[
        str | None,
        typer.Option("--ground", help="A sentence: its noun phrases are found, or its [parts] in [brackets]."),
    ] = None,
    phrases: Annotated[
        str | None, typer.Option("--phrases", help="The phrases of --ground that are wanted, separated by ';'.")
    ] = None,
    parser: Annotated[
        str, typer.Option("--parser", help="What finds noun phrases: rules, or spacy (pip extra 'ground').")
    ] = "rules",
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of a run record: use its model, prompt and what it tuned.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The detector, without --run.")] = "glip-nano",
    weights: Annotated[
        str | None, typer.Option("--weights", help="A checkpoint, another model's name, or 'random' to try the cost.")
    ] = None,
    lenient_weights: LenientWeights = False,
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
    r"""Detect things in photos: writes NAME.boxes.png and NAME.boxes.json for each.

    The JSON holds every detection of the model (scores over 0.05); the picture those from --threshold on.
    With --ground they are boxes of phrases, and the sentence stands below the picture in the colours of its boxes.

    For example:

    ```
    odinw-bench predict photo.jpg --ground "a dog left of two red balls"
    odinw-bench predict photo.jpg \
        --prompt "fish. stingray, which is flat and round" --model glip-t
    odinw-bench predict photo.jpg \
        --run results/odinw13/glip-nano/raccoon/full-5shot-seed3-1a2b3c4d
    ```
    """
    from glip_core.images import load_image
    from odinw_bench.runs.loading import load_run
    from odinw_bench.utils.hardware import allow_tf32, pick_device
    from odinw_bench.utils.io import replacing, write_json

    for image in images:  # before a model is loaded for nothing
        if not image.is_file():
            raise InputError(f"image '{image}' not found")
    where = pick_device(device)
    allow_tf32(False)
    sentence = _sentence(ground, phrases, parser, prompt, classes)
    if run_folder is not None:
        if prompt is not None or classes:
            raise InputError("--run brings the prompt that was tuned: leave --prompt and --class out")
        if lenient_weights:
            raise InputError("--run reads the weights as the run did: leave --lenient-weights out")
        tuned = load_run(run_folder, where)
        detector, words = tuned.model, sentence or tuned.prompt
        if not isinstance(words, Sentence) and not words.names:
            raise InputError(f"the run '{run_folder}' was tested with sentences and has no prompt: give --ground")
    else:
        words = sentence or _typed(prompt, classes)
        detector = _load(model, weights, where, lenient=lenient_weights, grounds=sentence is not None)
        if detector.ignored_weights:
            print(f"ignored in the weights: {', '.join(detector.ignored_weights)}", file=sys.stderr)
    look: Search = PhraseSearch(detector, words) if isinstance(words, Sentence) else ClassSearch(detector, words)
    written = []
    for image, name in zip(images, _names(images), strict=True):
        photo = load_image(image)
        found = look(photo)
        picture, data = out / f"{name}.boxes.png", out / f"{name}.boxes.json"
        shown = found.above(threshold)
        with replacing(picture) as temporary:
            look.draw(photo, shown).save(temporary, format="PNG")
        write_json(data, {"image": str(image)} | look.to_json(found))
        written.append({"image": str(image), "picture": str(picture), "json": str(data), "shown": len(shown)})
        if not as_json:
            write_line(
                f"{image}: {len(shown)} of {len(found)} detections score {threshold:g} or more -> {picture}, {data}"
            )
    if as_json:
        print_json(written)


def _load(model: str, weights: str | None, device: str, *, lenient: bool, grounds: bool) -> Model:
    from odinw_bench.models import find_model

    found = find_model(model)
    if not found.facts().has_text:
        raise InputError(f"'{model}' reads no prompts; give --run FOLDER of a run that tuned it")
    if grounds and not found.facts().grounds:
        raise InputError(f"'{model}' looks for classes, not for the phrases of a sentence: take a GLIP model")
    return (found.load_lenient if lenient else found.load)(weights, device)


def _typed(prompt: str | None, classes: Sequence[str]) -> Prompt:
    from glip_core import Prompt

    if prompt is not None and classes:
        raise InputError("give --prompt or --class, not both")
    if classes:
        return Prompt.from_classes(classes)
    if prompt is None:
        raise InputError('say what to look for: --prompt "fish. stingray", or --run FOLDER of a tuned run')
    return Prompt.parse(prompt)


def _sentence(
    ground: str | None, phrases: str | None, parser: str, prompt: str | None, classes: Sequence[str]
) -> Sentence | None:
    """What --ground asks for; None: there is none."""
    if ground is None:
        if phrases is not None:
            raise InputError("--phrases names parts of a sentence: give that with --ground")
        return None
    if prompt is not None or classes:
        raise InputError("--ground is a sentence, --prompt and --class are classes: give one of them")
    return Sentence.of(ground, phrases, parser)


def _names(images: Sequence[Path]) -> list[str]:
    """A file name per photo; photos of one name from different folders are numbered."""
    counts: dict[str, int] = {}
    names = []
    for image in images:
        counts[image.stem] = counts.get(image.stem, 0) + 1
        names.append(image.stem if counts[image.stem] == 1 else f"{image.stem}-{counts[image.stem]}")
    return names
