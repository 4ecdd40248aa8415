"""``odinw-bench predict``: boxes on photos and videos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._grids import is_on_command_line
from odinw_bench.cli._looking import ClassSearch, PhraseSearch, Search, Sentence
from odinw_bench.cli._options import Debug, Device, Json, LenientWeights, Listed

if TYPE_CHECKING:
    from glip_core import Prompt
    from odinw_bench.cli._found import Output
    from odinw_bench.cli._sources import Photo, Source
    from odinw_bench.models import Model

MOST_NAMES = 20
"""Of what is looked for, to be said on a line."""

app = typer.Typer()


@app.command()
def predict(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE", help="Photos, folders of them, patterns, addresses, videos, or a camera (camera:0)."
        ),
    ],
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
    model: Annotated[
        str, typer.Option("--model", help="The detector; with --run its class, where it has moved.")
    ] = "glip-nano",
    weights: Annotated[
        str | None, typer.Option("--weights", help="A checkpoint, another model's name, or 'random' to try the cost.")
    ] = None,
    lenient_weights: LenientWeights = False,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="Draw detections from this score on.")
    ] = 0.3,
    out: Annotated[
        list[Path],
        typer.Option(
            "--out",
            help="A folder for pictures and JSON files, or a file for all: .json, .csv, .coco.json. May be repeated.",
        ),
    ] = [Path("predictions")],
    every: Annotated[
        float, typer.Option("--every", min=0, help="Videos and cameras: seconds between two pictures; 0: every frame.")
    ] = 1.0,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="Videos and cameras: pictures at most. Default: to the end.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Detect things in photos and videos: writes NAME.boxes.png and NAME.boxes.json for each, or one file for all.

    Files hold every detection of the model (scores over 0.05); pictures those from --threshold on, in the photo's size.
    With --ground they are boxes of phrases, and the sentence stands below the picture in the colours of its boxes.
    Of a folder its own pictures and videos are taken; one of those that cannot be read is named, and the others follow.
    Videos and cameras need the extra 'video'; Ctrl-C ends a camera, and what was found is written.

    For example:

    ```
    odinw-bench predict photo.jpg --ground "a dog left of two red balls"
    odinw-bench predict photo.jpg \
        --prompt "fish. stingray, which is flat and round" --model glip-t
    odinw-bench predict photo.jpg \
        --run results/odinw13/glip-nano/raccoon/full-5shot-seed3-1a2b3c4d
    odinw-bench predict photos/ "more/**/*.jpg" --prompt "fish. stingray" \
        --out found.csv --out found.coco.json --out pictures
    odinw-bench predict dive.mp4 --every 0.5 --prompt "fish" --out dive.json
    odinw-bench predict camera:0 --frames 10 --prompt "cup. person"
    ```
    """
    from odinw_bench.cli._found import output_to
    from odinw_bench.cli._sources import find_sources
    from odinw_bench.utils.hardware import allow_tf32, pick_device

    sources = find_sources(images)  # before a model is loaded for nothing
    where = pick_device(device)
    allow_tf32(False)
    sentence = _sentence(ground, phrases, parser, prompt, classes)
    if run_folder is not None:
        asked = model if is_on_command_line(context, "model") else None
        look = _of_run(
            run_folder, where, sentence, prompt, classes, model=asked, weights=weights, lenient=lenient_weights
        )
    else:
        words = sentence or _typed(prompt, classes)
        detector = _load(model, weights, where, lenient=lenient_weights, grounds=sentence is not None)
        if detector.ignored_weights:
            print(f"ignored in the weights: {', '.join(detector.ignored_weights)}", file=sys.stderr)
        look = _search(detector, words)
    if not as_json:
        shown = list(look.names[:MOST_NAMES])
        write_line(
            f"looking for: {', '.join(shown)}" + (f" and {more} more" if (more := len(look.names) - len(shown)) else "")
        )
    outputs = [output_to(place, look, threshold) for place in dict.fromkeys(out)]
    raise typer.Exit(
        _look_at_all(sources, look, outputs, threshold=threshold, every=every, frames=frames, as_json=as_json)
    )


def _look_at_all(
    sources: Sequence[Source],
    look: Search,
    outputs: Sequence[Output],
    *,
    threshold: float,
    every: float,
    frames: int | None,
    as_json: bool,
) -> int:
    """Detect and write; returns the exit code."""
    from odinw_bench.cli._sources import open_source

    written: list[dict[str, Any]] = []
    code = 0
    try:
        for source in sources:
            try:
                for photo in open_source(source, every, frames):
                    written.append(_look_at(photo, look, outputs, threshold, quiet=as_json))  # noqa: PERF401  kept if one fails
            except InputError as error:
                if not source.listed:
                    raise
                code = 1
                write_line(f"left out: {error}", file=sys.stderr)
    except KeyboardInterrupt:  # how a camera ends
        code = 0 if written and sources[-1].moves else 130
    finally:
        files = [path for output in outputs for path in output.close()] if written else []
    if as_json:
        print_json(written)
    elif files:
        write_line(f"{len(written)} pictures -> {', '.join(map(str, files))}")
    return code if written or code else 1


def _look_at(photo: Photo, look: Search, outputs: Sequence[Output], threshold: float, *, quiet: bool) -> dict[str, Any]:
    found = look(photo.image)
    shown = len(found.above(threshold))
    files: dict[str, str] = {}
    for output in outputs:
        files |= output.add(photo, found)
    at = photo.to_json()
    if not quiet:
        when = "" if photo.frame is None else f" at {photo.seconds:.2f} s"
        target = f" -> {', '.join(files.values())}" if files else ""
        write_line(
            f"{at['image']}{when}: {shown} of {len(found)} detections score {threshold:g} or more{target}", flush=True
        )
    return at | files | {"shown": shown}


def _search(detector: Model, words: Prompt | Sentence) -> Search:
    return PhraseSearch(detector, words) if isinstance(words, Sentence) else ClassSearch(detector, words)


def _of_run(
    folder: Path,
    device: str,
    sentence: Sentence | None,
    prompt: str | None,
    classes: Sequence[str],
    *,
    model: str | None,
    weights: str | None,
    lenient: bool,
) -> Search:
    """What a run tuned, with options that do not contradict its record."""
    from odinw_bench.runs.loading import load_run
    from odinw_bench.runs.record import read_record

    if prompt is not None or classes:
        raise InputError("--run brings the prompt that was tuned: leave --prompt and --class out")
    if lenient:
        raise InputError("--run reads the weights as the run did: leave --lenient-weights out")
    record = read_record(folder)
    spec = record.spec
    own = model is None or model in (spec.model, spec.model_source, spec.model_class)
    if not own and ":" not in str(model):  # a class may be the same model under a name that can be imported here
        raise InputError(f"the run '{folder}' is of {spec.model}: leave --model {model} out, or --run")
    tuned = load_run(record, device, weights=weights, model=None if own else model)  # refuses what is not the run's
    words = sentence or tuned.prompt
    if not isinstance(words, Sentence) and not words.names:
        raise InputError(f"the run '{folder}' was tested with sentences and has no prompt: give --ground")
    return _search(tuned.model, words)


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
