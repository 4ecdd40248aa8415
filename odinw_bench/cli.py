"""The command line: arguments, nothing else. The work is imported by each command, so that --help is instant."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from glip_core.errors import InputError
from odinw_bench import __version__
from odinw_bench.commands.options import DataRoot, Debug, Device, Json, Listed, Weights, split_list, split_pairs

app = typer.Typer(
    name="odinw-bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Which way of adapting a language-pre-trained detector should I use, what will I get, what will it cost?

GLIP and DyHead on ODinW: zero-shot, manual prompts, prompt tuning, linear probe and full tuning, by shots and seeds.
Everything runs at once on the embedded miniature (suite `mini`, models `glip-nano` and `dyhead-nano`).

Start here:

    odinw-bench run --mode prompt --shots 5
    odinw-bench predict photo.jpg --prompt "stingray, which is flat and round. fish" --model glip-t
    odinw-bench run --suite odinw13 --dataset aquarium --data-root DATA --model glip-t --mode zero-shot,prompt --shots 5
""",
)
models_app = typer.Typer(no_args_is_help=True, help="The detectors: list them.")
data_app = typer.Typer(no_args_is_help=True, help="The datasets: list them, render the miniature.")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")

_MENDABLE = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"odinw-bench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    model: Annotated[Listed, typer.Option("--model", help="Detectors; see `odinw-bench models list`.")] = ["glip-nano"],
    suite: Annotated[
        str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder of COCO datasets.")
    ] = "mini",
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, 'all', or the path of a COCO folder.")] = [
        "all"
    ],
    mode: Annotated[
        Listed,
        typer.Option(
            "--mode",
            help="zero-shot, manual, prompt, linear, prompt+linear, language, language+linear, full, or 'all'.",
        ),
    ] = ["prompt"],
    shots: Annotated[Listed, typer.Option("--shots", help="Images per class: numbers or 'all' (images).")] = ["5"],
    seed: Annotated[Listed, typer.Option("--seed", help="Seeds of subset and training; 'all' is 3,30,300.")] = ["3"],
    protocol: Annotated[str | None, typer.Option("--protocol", help="odinw-glip-1 (official) or mini-1.")] = None,
    weights: Weights = None,
    attributes: Annotated[
        Path | None, typer.Option("--attributes", help="Mode manual: YAML of class name -> prefix, name, suffix.")
    ] = None,
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    device: Device = "auto",
    precision: Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")] = "fp32",
    eval_split: Annotated[str, typer.Option("--eval-split", help="The split that is reported.")] = "test",
    override: Annotated[Listed, typer.Option("--set", help="Hyper-parameters, such as lr=0.01.")] = [],
    cache_gb: Annotated[
        float, typer.Option("--cache-gb", min=0, help="Memory for frozen features while tuning, of each worker.")
    ] = 2.0,
    engine: Annotated[str, typer.Option("--engine", help="local (one after the other) or processes.")] = "local",
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes at a time; more than 1 means --engine processes."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do finished runs again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the table.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Tune and test: every combination of the given models, datasets, modes, shots and seeds.

    Lists are separated by commas, or the option is repeated. A finished run is never done twice; a run that fails is
    recorded and the others go on. Exit code 0: all done; 1: some run failed; 2: unusable input.

    For example:

        odinw-bench run --mode prompt --shots 5
        odinw-bench run --dataset aquarium,raccoon --mode zero-shot,prompt,full --shots 1,5,all --seed all
        odinw-bench run --suite odinw13 --data-root DATA --model glip-t --mode prompt --shots 5 --device cuda
        odinw-bench run --dataset my/coco/folder --mode full --shots all --set lr=0.0003,epochs=20
    """
    from odinw_bench.commands.run import RunArguments, command

    raise typer.Exit(
        command(
            RunArguments(
                models=split_list(model),
                suite=suite,
                datasets=split_list(dataset),
                modes=split_list(mode),
                shots=split_list(shots),
                seeds=split_list(seed),
                protocol=protocol,
                weights=weights,
                attributes=None if attributes is None else str(attributes),
                data_root=data_root,
                results=results,
                device=device,
                precision=precision,
                eval_split=eval_split,
                overrides=split_pairs(override),
                cache_gb=cache_gb,
                engine="processes" if engine == "local" and (workers or 1) > 1 else engine,
                workers=workers,
                force=force,
                dry_run=dry_run,
                quiet=quiet,
                as_json=as_json,
                debug=debug,
            )
        )
    )


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


@models_app.command("list")
def models_list(as_json: Json = False, debug: Debug = False) -> None:
    """The detectors: what they are, where their weights come from and whether they are here."""
    from odinw_bench.commands.models import command

    command(as_json)


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


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="Folder of a run record.")], as_json: Json = False, debug: Debug = False
) -> None:
    """One run record: metrics per class, cost, data, environment."""
    from odinw_bench.commands.show import command

    command(record, as_json)


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


def main() -> None:
    """Run the program; what the user can mend is one line and exit code 2."""
    from odinw_bench.commands.output import fail

    # Threads that wait for each other by spinning are five times slower as soon as anything else needs a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except InputError as error:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(error))
    except OSError as error:
        if "--debug" in sys.argv or error.errno not in _MENDABLE:
            raise
        sys.exit(fail(InputError(f"cannot write '{error.filename}': {error.strerror}")))
