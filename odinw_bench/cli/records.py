"""Arguments of the commands that read run records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import DataRoot, Debug, Json, Listed, parse_shots, split_list

app = typer.Typer()
export_app = typer.Typer(no_args_is_help=True, help="Detections of runs in other programs' formats.")
app.add_typer(export_app, name="export")

OwnData = Annotated[
    list[Path] | None,
    typer.Option("--data", help="A folder of your own data sets that records are of; may be repeated."),
]


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="Folder of a run record.")], as_json: Json = False, debug: Debug = False
) -> None:
    """One run record: metrics per class, cost, data, environment."""
    from odinw_bench.commands.show import command

    command(record, as_json)


@app.command()
def score(
    predictions: Annotated[
        Path, typer.Option("--predictions", help="A JSON of COCO results, or a folder with one per task.")
    ],
    model_name: Annotated[str, typer.Option("--model-name", help="What tables call the model.")],
    suite: Annotated[str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder.")] = "odinw13",
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, folders or 'all'.")] = ["all"],
    mode: Annotated[str, typer.Option("--mode", help="How it was adapted: zero-shot, linear, full ...")] = "zero-shot",
    shots: Annotated[str, typer.Option("--shots", help="Images per class it was adapted on, or 'all'.")] = "0",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the few-shot subset.")] = 3,
    eval_split: Annotated[str, typer.Option("--eval-split", help="The split the predictions are of.")] = "test",
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="Score again what was scored.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure any model's predictions under the same protocol; the records are ordinary ones, reports include them.

    A folder holds NAME.json, NAME/predictions.json or NAME.bbox.json for each task. For example:

        odinw-bench score --suite odinw13 --data-root DATA --predictions mine/ --model-name my-detector
        odinw-bench score --suite mini --dataset aquarium --predictions aquarium.json --model-name yolo --mode full \
            --shots 5
    """
    from odinw_bench.commands.score import command
    from odinw_bench.runs.external import ExternalRun

    what = ExternalRun(model_name, mode, parse_shots(shots), seed, eval_split)
    command(predictions, what, suite, split_list(dataset), results, data_root=data_root, force=force, as_json=as_json)


@app.command()
def report(
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("reports"),
    title: Annotated[str, typer.Option("--title", help="Heading of the report.")] = "ODinW benchmark report",
    pictures: Annotated[
        int, typer.Option("--pictures", min=0, help="Worst and best test images a task, each; 0: no gallery.")
    ] = 2,
    data_root: DataRoot = None,
    data: OwnData = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Tables, figures and one self-contained page out of run records: no model is loaded.

    Writes report.html, report.md, tables/*.tex and *.csv, figures/*.png and *.svg. For example:

        odinw-bench run --dataset aquarium,pothole --mode zero-shot,prompt --shots 1,5 --seed all
        odinw-bench report --results results --out reports
    """
    from odinw_bench.commands.report import command
    from odinw_bench.report import ReportSettings

    command(
        ReportSettings(results, out, title=title, pictures=pictures, data_root=data_root, data=tuple(data or ())),
        as_json,
    )


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's folder, or a pattern of folders in quotes.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Resamples of the test images.")] = 1000,
    seed: Annotated[int, typer.Option("--bootstrap-seed", min=0, help="Of the resampling.")] = 0,
    data_root: DataRoot = None,
    data: OwnData = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Is A better than B? A paired bootstrap over the test images, in words.

    Patterns compare groups: runs of one task and seed are paired. For example:

        odinw-bench compare results/mini/glip-nano/aquarium/prompt-5* results/mini/glip-nano/aquarium/zero-shot-*
        odinw-bench compare "results/mini/glip-nano/*/prompt-5shot-*" "results/mini/dyhead-nano/*/linear-5shot-*"
    """
    from odinw_bench.commands.compare import CompareArguments, command

    command(
        CompareArguments(a, b, samples=samples, seed=seed, data_root=data_root, data=tuple(data or ()), as_json=as_json)
    )


@export_app.command("coco")
def export_coco(
    runs: Annotated[str, typer.Argument(metavar="RUNS", help="A run's folder, or a pattern of folders in quotes.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("export"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the detections of runs as COCO results, one file per dataset; `score` reads such a folder.

    For example:

        odinw-bench export coco "results/odinw13/glip-t/*/prompt-5shot-seed3-*" --out predictions
    """
    from odinw_bench.commands.export import command

    command(runs, out, as_json)
