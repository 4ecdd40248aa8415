"""``odinw-bench export``: the detections of runs as COCO results, or as the ODinW challenge takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._options import Debug, Json
from odinw_bench.cli.hub import hub, peft

if TYPE_CHECKING:
    from odinw_bench.report.evalai import Submission

app = typer.Typer()
_formats = typer.Typer(
    no_args_is_help=True, help="Runs in other programs' formats: detections, and the detector itself."
)
app.add_typer(_formats, name="export")
_formats.command("hub")(hub)
_formats.command("peft")(peft)


@_formats.command("coco")
def coco(
    runs: Annotated[str, typer.Argument(metavar="RUNS", help="A run's folder, or a pattern of folders in quotes.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("export"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write the detections of runs as COCO results, one file per dataset; `score` reads such a folder.

    Beside them index.json says which run each file is of. For example:

    ```
    odinw-bench export coco "results/odinw13/glip-t/*/prompt-5shot-seed3-*" \
        --out predictions
    ```
    """
    from odinw_bench.report.pairs import find_runs
    from odinw_bench.report.testdata import read_predictions
    from odinw_bench.utils.io import is_file_name, write_json
    from odinw_bench.utils.text import shorten

    found = find_runs(runs)
    by_dataset: dict[str, Any] = {}
    for run in found:
        name = run.place[1]
        if not is_file_name(name) or name == "index":
            raise InputError(
                f"the run '{run.folder}' says that its data set is {shorten(name)}, which cannot be a file's name; "
                "correct its run.json, or leave it out"
            )
        if name in by_dataset:
            raise InputError(
                f"'{by_dataset[name].folder}' and '{run.folder}' are both of '{name}': name the runs of one model, "
                "mode, number of shots and seed"
            )
        by_dataset[name] = run
    predictions = {name: read_predictions(run.folder) for name, run in by_dataset.items()}
    for name, rows in predictions.items():
        write_json(out / f"{name}.json", rows, indent=None)
    index = {
        name: {"run": str(run.folder), "spec": run.record["spec"], "metrics": run.record["metrics"]}
        for name, run in by_dataset.items()
    }
    write_json(out / "index.json", index)
    if as_json:
        print_json({"written": [str(out / f"{name}.json") for name in by_dataset]})
        return
    write_line(f"{out}: {len(by_dataset)} datasets, {sum(map(len, predictions.values())):,} detections")


@_formats.command("evalai")
def evalai(
    track: Annotated[str, typer.Option("--track", help="zero, full or 3shot.")],
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("evalai.json"),
    suite: Annotated[str, typer.Option("--suite", help="odinw35, which the challenge is on, or odinw13.")] = "odinw35",
    model: Annotated[str | None, typer.Option("--model", help="Of the runs, where there are several.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="Of the runs, where there are several.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what there is though data sets are missing.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write the detections of a suite's runs as one file for the ODinW challenge on EvalAI.

    Zero-shot and full data: by data set, a list of COCO results. Few-shot: by data set and seed (3, 30, 300), 3 shots.
    For example:

    ```
    odinw-bench export evalai --track 3shot --model glip-t --mode full \
        --results results --out all_predictions_3_shot.json
    ```
    """
    from odinw_bench.report.evalai import submission
    from odinw_bench.utils.io import write_json

    made = submission(results, track, suite=suite, model=model, mode=mode)
    _check_whole(made, results, partial=partial)
    write_json(out, made.content, indent=None)
    _say_written(made, out, as_json=as_json)


@_formats.command("rf20vl")
def rf20vl(
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("rf20vl.zip"),
    track: Annotated[str, typer.Option("--track", help="10-shot (on the given images) or zero-shot.")] = "10-shot",
    seed: Annotated[int | None, typer.Option("--seed", help="Of the runs, where there are several.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Of the runs, where there are several.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="Of the runs, where there are several.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what there is though data sets are missing.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write the detections on RF20-VL as the zip of pickles that its few-shot challenge takes.

    Runs of the suite rf20vl count, and those of rf100vl on the same data sets. Pickles are only ever written here.
    For example:

    ```
    odinw-bench run --suite rf20vl --shots 10 --mode full --model glip-t \
        --data-root DATA
    odinw-bench export rf20vl --mode full --out submission.zip
    ```
    """
    from odinw_bench.report.challenge import rf20vl_submission, write_pickles

    made = rf20vl_submission(results, track, model=model, mode=mode, seed=seed)
    _check_whole(made, results, partial=partial)
    write_pickles(made.content, out)
    _say_written(made, out, as_json=as_json)


@_formats.command("model")
def model(
    source: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help="A run's folder, or a model's name.")],
    to: Annotated[str, typer.Option("--format", help="onnx, or torch-export.")] = "onnx",
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", help="Classes that the file is for; by default those of the run."),
    ] = None,
    dynamic_prompt: Annotated[
        bool, typer.Option("--dynamic-prompt", help="For any classes: the text's part is written beside FILE.")
    ] = False,
    precision: Annotated[str, typer.Option("--precision", help="fp32; of ONNX also fp16, or int8.")] = "fp32",
    weights: Annotated[
        str | None, typer.Option("--weights", help="Of a model: a checkpoint, another model's name, or 'random'.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default detector.onnx, or detector.pt2.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write a detector as a graph that ONNX Runtime, or torch without this program, can run.

    Images have any size in multiples of 32, one at a time. What was tuned is part of the graph; boxes are made of its
    outputs by the rules in docs/export.md. For example:

    ```
    odinw-bench export model --precision int8 --out pond.onnx \
        results/mini/glip-nano/pond/lora-5shot-seed3-1a2b3c4d
    odinw-bench export model glip-nano --dynamic-prompt --out any.onnx
    ```
    """
    if to not in ("onnx", "torch-export"):
        raise InputError(f"unknown format '{to}'; known: onnx, torch-export")
    if precision not in ("fp32", "fp16", "int8"):
        raise InputError(f"unknown precision '{precision}'; known: fp32, fp16, int8")
    if to == "torch-export" and precision != "fp32":
        raise InputError("--precision fp16 and int8 are made by ONNX Runtime's tools: --format onnx")
    out = out or Path("detector.onnx" if to == "onnx" else "detector.pt2")
    if out.is_dir():
        raise InputError(f"'{out}' is a folder: give --out a file")
    from glip_core.exporting import trace, write_program
    from odinw_bench.exporting import write_onnx
    from odinw_bench.runs.exporting import exportable

    found = exportable(source, prompt=prompt, dynamic=dynamic_prompt, weights=weights)
    traced = trace(found.detector, found.prompt, source=found.source)
    files = write_onnx(traced, out, precision=precision) if to == "onnx" else write_program(traced, out)
    written = [{"file": str(file), "bytes": file.stat().st_size} for file in files]
    if as_json:
        print_json({"written": written, "classes": None if found.prompt is None else list(found.prompt.names)})
        return
    for file in files:
        write_line(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    if to == "onnx":
        write_line(f"measure it: odinw-bench run --model onnx:{out} --mode zero-shot --dataset ...")


def _check_whole(made: Submission, results: Path, *, partial: bool) -> None:
    """Refuse a submission that lacks data sets, unless it is meant to.

    Raises:
        InputError: it does.
    """
    if made.missing and not partial:
        raise InputError(
            f"of {made.way}, {len(made.missing)} data sets are missing in '{results}': {', '.join(made.missing)}; "
            "run them, or write what there is with --partial"
        )


def _say_written(made: Submission, out: Path, *, as_json: bool) -> None:
    """Print what a submission that was written holds."""
    if as_json:
        print_json({"written": str(out), "datasets": list(made.content), "missing": made.missing})
        return
    write_line(f"{out}: {made.way}, {len(made.content)} data sets")
    if made.missing:
        write_line(f"missing: {', '.join(made.missing)}")
