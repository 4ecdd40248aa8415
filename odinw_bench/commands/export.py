"""``odinw-bench export coco``: the detections of runs as COCO results, one file per dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.commands.output import print_json
from odinw_bench.report.pairs import find_runs
from odinw_bench.report.testdata import read_predictions
from odinw_bench.utils.io import write_json


def command(runs: str, out: Path, as_json: bool) -> None:
    """Write ``DATASET.json`` for each run, and ``index.json`` that says of which run each is.

    Raises:
        InputError: no such runs, two of one dataset, or one without predictions; nothing is written then.
    """
    found = find_runs(runs)
    by_dataset: dict[str, Any] = {}
    for run in found:
        name = run.place[1]
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
    print(f"{out}: {len(by_dataset)} datasets, {sum(map(len, predictions.values())):,} detections")
