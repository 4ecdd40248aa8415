"""The table at the end of ``odinw-bench run``."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from odinw_bench.cli._console import console, number, print_json, table
from odinw_bench.evaluation import evaluation_of
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.record import RunRecord

_COSTS = ("tune s", "test s", "trainable")
_RETENTION = {"retained": "retained_AP", "base": "base_AP"}
"""AP on the other data sets of ``--retention`` after tuning and before: columns where a run has them."""


@dataclass(frozen=True)
class Result:
    """A cell and what became of it.

    Attributes:
        cell: the cell.
        record: its record; None where it failed.
        error: one line; None where it did not.
    """

    cell: Cell
    record: RunRecord | None
    error: str | None = None


def print_results(results: Sequence[Result], *, eval_split: str, as_json: bool) -> None:
    """Print a row per cell and the means over datasets, a table for each suite.

    Args:
        results: of all cells.
        eval_split: what was asked for; of several suites each table names its own splits.
        as_json: print JSON.
    """
    if as_json:
        print_json([_json(result) for result in results])
        return
    by_suite: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_suite[result.cell.task.suite].append(result)
    for suite, some in by_suite.items():
        splits = dict.fromkeys(result.cell.spec.eval_split for result in some)
        _print_suite(suite, some, eval_split if len(by_suite) == 1 else " and ".join(splits))


def _print_suite(suite: str, results: Sequence[Result], eval_split: str) -> None:
    shown = _shown(results)
    title = f"{suite}: {shown[0]} in percent on '{eval_split}'"
    if suite == "mini":
        title += " (drawn miniature; not comparable with ODinW's numbers)"
    rows = [_row(result, shown) for result in results] + _means(results, shown)
    numbers = (*shown, *_COSTS)
    console().print(table(title, ("model", "dataset", "mode", "shots", "seed", *numbers), rows, numbers=numbers))


def _shown(results: Sequence[Result]) -> Sequence[str]:
    """The metrics of the table, the headline first; those of all evaluations that the tasks are tested by."""
    names = [name for result in results for name in evaluation_of(result.cell.task).shown]
    names += _RETENTION if any(result.cell.retained for result in results) else ()
    return tuple(dict.fromkeys(names))


def _value(record: RunRecord, name: str) -> Any:
    """A metric of the table."""
    return record.retention.get(_RETENTION[name]) if name in _RETENTION else record.metrics.get(name)


def _json(result: Result) -> dict[str, Any]:
    record = result.record
    brief = {key: record.get(key) for key in ("spec", "status", "metrics", "cost")} if record else None
    if brief is not None and record is not None and record.retention:
        brief["retention"] = record.retention
    return {"folder": str(result.cell.folder), "error": result.error, "record": brief}


def _row(result: Result, shown: Sequence[str]) -> list[str]:
    spec, record = result.cell.spec, result.record
    start = [spec.model, result.cell.dataset, spec.mode, str(spec.shots), str(spec.seed)]
    if record is None:
        return [*start, "failed", *[""] * (len(shown) - 1 + len(_COSTS))]
    cost = record.cost
    tuned = cost.get("tuned_parameters")
    return [
        *start,
        *(number(_value(record, name)) for name in shown),
        number(cost.get("tune_seconds")),
        number(cost.get("test_seconds")),
        "-" if tuned is None else f"{tuned:,}",
    ]


def _means(results: Sequence[Result], shown: Sequence[str]) -> list[list[str]]:
    """A mean row per model, mode, shots and seed that has several datasets, all of them done."""
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for result in results:
        spec = result.cell.spec
        groups[spec.model, spec.mode, str(spec.shots), str(spec.seed)].append(result)
    rows = []
    for (model, mode, shots, seed), members in groups.items():
        records = [result.record for result in members if result.record is not None]
        if len(members) < 2 or len(records) < len(members):
            continue
        means = [_mean([_value(record, name) for record in records]) for name in shown]
        means += [_mean([record.cost.get(name) for record in records]) for name in ("tune_seconds", "test_seconds")]
        rows.append([model, f"mean of {len(members)}", mode, shots, seed, *means, ""])
    return rows


def _mean(values: Sequence[float | None]) -> str:
    """A mean; a dash where a dataset has no such number."""
    known = [value for value in values if value is not None]
    return number(statistics.fmean(known)) if len(known) == len(values) else "-"
