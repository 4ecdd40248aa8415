"""``odinw-bench score``: predictions of other models as run records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import console, number, print_json, table, write_line
from odinw_bench.cli._names import DEFAULT_IN_WORDS, paths_first, pick_suite
from odinw_bench.cli._options import SUITES, DataRoot, Debug, Json, Listed, parse_shots, split_list

if TYPE_CHECKING:
    from odinw_bench.runs.record import RunRecord

app = typer.Typer()


@app.command()
def score(
    predictions: Annotated[
        Path, typer.Option("--predictions", help="A JSON of COCO results, or a folder with one per task.")
    ],
    model_name: Annotated[str, typer.Option("--model-name", help="What tables call the model.")],
    suite: Annotated[str, typer.Option("--suite", help=f"{SUITES}. {DEFAULT_IN_WORDS}")] = "",
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, folders or 'all'.")] = ["all"],
    mode: Annotated[str, typer.Option("--mode", help="How it was adapted: zero-shot, linear, full ...")] = "zero-shot",
    shots: Annotated[str, typer.Option("--shots", help="Images per class it was adapted on, or 'all'.")] = "0",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the few-shot subset.")] = 3,
    eval_split: Annotated[str, typer.Option("--eval-split", help="The split the predictions are of.")] = "test",
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    metric: Annotated[
        Listed, typer.Option("--metric", help="Metrics beside COCO's: functions, as PACKAGE.MODULE:FUNCTION.")
    ] = [],
    force: Annotated[bool, typer.Option("--force", help="Score again what was scored.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Measure any model's predictions under the same protocol; the records are ordinary ones, reports include them.

    A folder holds NAME.json, NAME/predictions.json or NAME.bbox.json for each task. For example:

    ```
    odinw-bench score --suite odinw13 --data-root DATA --predictions mine/ \
        --model-name my-detector
    odinw-bench score --suite mini --dataset aquarium \
        --predictions aquarium.json --model-name yolo --mode full --shots 5
    ```
    """
    from odinw_bench.datasets.names import load_tasks, task_labels
    from odinw_bench.datasets.registry import load_suite
    from odinw_bench.evaluation import COCO, evaluation_of
    from odinw_bench.metrics.extra import extra_metrics
    from odinw_bench.runs.external import ExternalRun, find_predictions
    from odinw_bench.runs.external import score as score_task

    what = ExternalRun(model_name, mode, parse_shots(shots), seed, eval_split)
    suite = pick_suite(suite, data_root, quiet=True)
    datasets = paths_first(split_list(dataset), quiet=True)
    everything = "all" in datasets
    tasks = load_suite(suite) if everything else load_tasks(datasets, suite)
    if not predictions.exists():
        raise InputError(f"predictions '{predictions}' not found")
    if predictions.is_file() and len(tasks) > 1:
        raise InputError(f"'{predictions}' is one file: say with --dataset which task it is of, or give a folder")
    metrics = split_list(metric)
    extra_metrics(metrics)  # a slip is reported before the work
    for task in tasks:
        evaluation_of(task).check_metrics(task, metrics)
    labels = task_labels(tasks)
    files = {label: find_predictions(predictions, task, label) for label, task in zip(labels, tasks, strict=True)}
    missing = [name for name, path in files.items() if path is None]
    if missing and (not everything or len(missing) == len(tasks)):
        raise InputError(f"'{predictions}' has no {missing[0]}.json or {missing[0]}/predictions.json")
    records: list[RunRecord] = []
    scored: list[str] = []
    for label, task in zip(labels, tasks, strict=True):
        path = files[label]
        if path is not None:
            scored.append(label)
            records.append(score_task(task, path, what, results, data_root=data_root, force=force, extra=metrics))
    if as_json:
        print_json({"records": [record.to_json() for record in records], "missing": missing})
        return
    evaluations = [evaluation_of(task) for task in tasks]
    coco = all(one.name == COCO for one in evaluations)
    names = ("AP", "AP50", "AR100") if coco else tuple(dict.fromkeys(name for one in evaluations for name in one.shown))
    rows = [
        [label, *(number(record.metrics.get(name)) for name in names)]
        for label, record in zip(scored, records, strict=True)
    ]
    means: list[list[Any]] = [[record.metrics.get(name) for record in records] for name in names]
    if len(records) > 1 and all(value is not None for column in means for value in column):
        rows.append([f"mean of {len(records)}", *(number(sum(column) / len(column)) for column in means)])
    title = f"{what.model}, {what.mode}, {what.shots} shots: percent on '{what.eval_split}'"
    console().print(table(title, ["task", *names], rows, numbers=names))
    if missing:
        write_line(f"no predictions of: {', '.join(missing)}")
    write_line(f"records: {results}")
