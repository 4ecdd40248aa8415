"""``odinw-bench data download``: the data of tasks, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from glip_core.errors import InputError
from odinw_bench.commands.output import print_json
from odinw_bench.datasets.download import SourceName, download_task
from odinw_bench.datasets.registry import load_suite, load_task


def command(datasets: Sequence[str], suite: str, data_root: Path, source: str, as_json: bool) -> None:
    """Download; what fails is named at the end, and the others are here.

    Raises:
        InputError: there is no such task, or all of one task's download failed.
    """
    tasks = load_suite(suite) if "all" in datasets else [load_task(name, suite) for name in datasets]
    rows: list[dict[str, str]] = []
    errors = []
    for task in tasks:
        try:
            done = download_task(task, data_root, cast(SourceName, source), _say)
        except InputError as error:
            errors.append(str(error))
            rows.append({"task": task.name, "outcome": "failed", "error": str(error)})
            continue
        rows.append({"task": task.name, "outcome": done.outcome, "folder": str(done.folder)})
        if not as_json:
            print(f"{task.name}: {done.outcome}, {done.folder}")
    if as_json:
        print_json(rows)
    if len(errors) == 1:
        raise InputError(errors[0])
    if errors:
        for text in errors[:-1]:
            print(f"error: {text}", file=sys.stderr)
        raise InputError(errors[-1])
    if not as_json:
        print(f"run with --suite {suite} --data-root {data_root}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
