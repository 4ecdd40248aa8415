"""``odinw-bench score``: predictions of other models as run records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.commands.output import console, number, print_json, table
from odinw_bench.datasets.registry import load_suite, load_task
from odinw_bench.runs.external import ExternalRun, find_predictions, score


def command(
    predictions: Path,
    what: ExternalRun,
    suite: str,
    datasets: Sequence[str],
    results: Path,
    *,
    data_root: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Score every task that there are predictions of.

    Raises:
        InputError: there is no such file or task, there are predictions of none, or they are unusable.
    """
    everything = "all" in datasets
    tasks = load_suite(suite) if everything else [load_task(name, suite) for name in datasets]
    if not predictions.exists():
        raise InputError(f"predictions '{predictions}' not found")
    if predictions.is_file() and len(tasks) > 1:
        raise InputError(f"'{predictions}' is one file: say with --dataset which task it is of, or give a folder")
    files = {task.name: find_predictions(predictions, task) for task in tasks}
    missing = [name for name, path in files.items() if path is None]
    if missing and (not everything or len(missing) == len(tasks)):
        raise InputError(f"'{predictions}' has no {missing[0]}.json or {missing[0]}/predictions.json")
    records: list[dict[str, Any]] = []
    for task in tasks:
        path = files[task.name]
        if path is not None:
            records.append(score(task, path, what, results, data_root=data_root, force=force))
    if as_json:
        print_json({"records": records, "missing": missing})
        return
    names = ("AP", "AP50", "AR100")
    rows = [[record["spec"]["dataset"], *(number(record["metrics"][name]) for name in names)] for record in records]
    means = [[record["metrics"][name] for record in records] for name in names]
    if len(records) > 1 and all(value is not None for column in means for value in column):
        rows.append([f"mean of {len(records)}", *(number(sum(column) / len(column)) for column in means)])
    title = f"{what.model}, {what.mode}, {what.shots} shots: percent on '{what.eval_split}'"
    console().print(table(title, ["task", *names], rows, numbers=names))
    if missing:
        print(f"no predictions of: {', '.join(missing)}")
    print(f"records: {results}")
