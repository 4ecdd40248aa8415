"""Makes ``prior.json`` from runs that were tested on validation splits, so that no test split has a part in any advice.

``odinw-bench run --dataset TASKS --mode WAYS --shots 5 --eval-split val --results R`` and then
``python -m odinw_bench.advice.prior_measured --results R --tasks TASKS``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from odinw_bench.advice.candidates import SHORT
from odinw_bench.advice.prior import REFERENCE, Prior
from odinw_bench.advice.settings import DEFAULT_MODES
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.metrics.stats import resampled_aps
from odinw_bench.models import UNTUNED
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.progress import HISTORY
from odinw_bench.runs.record import find_records, is_done
from odinw_bench.runs.spec import RunSpec
from odinw_bench.utils.io import read_json, write_json

SAMPLES = 300
LEAST_SPREAD = 1.0
"""AP; from few tasks a spread of nearly nothing may come out by chance."""

POOLED = 2
"""The spread of all ways together counts for as many tasks in that of each."""

Table = Mapping[str, Mapping[str, float]]
"""By task and mode."""


@dataclass(frozen=True)
class Measured:
    """What records say of the ways on one task.

    Attributes:
        aps: by mode, validation AP in percent.
        early: by mode, AP after the first part of the epochs minus that at the end.
        variance: of the AP of one way on one image, so far as it is not common to all ways.
    """

    aps: Mapping[str, float]
    early: Mapping[str, float]
    variance: float


def collect(
    results: Path, tasks: Sequence[str], modes: Sequence[str], model: str, shots: int, seed: int, protocol: str | None
) -> tuple[dict[str, Measured], str]:
    """What records that were tested on validation splits say, by task, and where they are from, in words.

    Args:
        results: folder of the records.
        tasks: of the miniature; those that lack a way are left out.
        modes: the ways.
        model: the detector.
        shots: images per class.
        seed: of subset and training.
        protocol: of the runs; None: the model's usual one.
    """
    found: dict[str, Measured] = {}
    name = ""
    for task in tasks:
        specs = {mode: RunSpec(task, model, "mini", mode, shots, seed, protocol, eval_split="val") for mode in modes}
        folders = {mode: prepare(spec, results).folder for mode, spec in specs.items()}
        if not all(map(is_done, folders.values())):
            print(f"{task} is left out: not all ways have been run", file=sys.stderr)
            continue
        name = specs[REFERENCE].protocol_name
        histories = {mode: _history(folder) for mode, folder in folders.items()}
        rows = [read_json(folder / "predictions.json", what="predictions") for folder in folders.values()]
        found[task] = Measured(
            {mode: _best(history) for mode, history in histories.items()},
            {mode: _best(_first_part(history)) - _best(history) for mode, history in histories.items()},
            _variance(task, rows, seed),
        )
    return found, f"{model}, {name}, {shots} shots, seed {seed}, validation splits"


def combine(found: Mapping[str, Measured], steps: Mapping[str, float], source: str) -> Prior:
    """Make a prior.

    Args:
        found: by task.
        steps: seconds of a step by mode.
        source: where they are from, the model first.

    Raises:
        ValueError: there are fewer than two tasks.
    """
    if len(found) < 2:
        raise ValueError(f"{len(found)} tasks have records of all ways; 2 are needed")
    modes = list(next(iter(found.values())).aps)
    aps = {task: one.aps for task, one in found.items()}
    early = {task: one.early for task, one in found.items()}
    return Prior(
        {mode: round(statistics.fmean(one[mode] - one[REFERENCE] for one in aps.values()), 2) for mode in modes},
        {mode: round(spread, 2) for mode, spread in _spreads(aps).items()},
        round(math.sqrt(statistics.fmean(one.variance for one in found.values())), 2),
        {mode: round(statistics.fmean(one[mode] for one in early.values()), 2) for mode in modes},
        round(math.sqrt(statistics.fmean(spread**2 for spread in _spreads(early).values())), 2),
        {mode: round(steps[mode] / steps[REFERENCE], 2) for mode in modes},
        list(found),
        source,
    )


def _history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]


def _best(history: Sequence[Mapping[str, Any]]) -> float:
    """Validation AP in percent of the weights that were kept."""
    return float(max(line["validation_AP"] for line in history if line["validation_AP"] is not None))


def _first_part(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The epochs that a short run would do; at least until the first evaluation."""
    last = math.ceil(len(history) / SHORT)
    first = next(line["epoch"] for line in history if line["validation_AP"] is not None)
    return [line for line in history if line["epoch"] <= max(first, last)]


def quickest_steps(results: Path, model: str) -> dict[str, float]:
    """Seconds of a step by mode, evaluations included, of the quickest run: other programs slow the others down.

    All runs of the model count, whatever their learning rate.
    """
    found: dict[str, float] = {}
    for folder, record in find_records(results):
        if record.is_done and record.spec.model == model and record.cost["tune_steps"]:
            evaluated = [line for line in _history(folder) if line["validation_AP"] is not None]
            for a, b in pairwise(evaluated):
                seconds = (b["seconds"] - a["seconds"]) / (b["steps"] - a["steps"])
                found[record.spec.mode] = min(seconds, found.get(record.spec.mode, math.inf))
    return found


def _variance(task: str, rows: Sequence[list[dict[str, Any]]], seed: int) -> float:
    """Of the AP of one way on one image; what is common to all ways says nothing about them and is left out."""
    truth = open_split(load_task(task, "mini"), "val").annotations
    _, drawn = resampled_aps(truth, rows, SAMPLES, seed)
    own = drawn - drawn.mean(axis=1, keepdims=True)
    ways = len(rows)
    return float(own.var(axis=0).mean()) * len(truth["images"]) * ways / (ways - 1)


def _spreads(table: Table) -> dict[str, float]:
    """Standard deviation of each way's difference from the mean of all ways, on a further task.

    The deviation of few tasks is itself uncertain, so that of all ways together counts in it; and so is the mean.
    """
    values = np.array([list(found.values()) for found in table.values()])
    own = values - values.mean(axis=1, keepdims=True)
    tasks, ways = values.shape
    variances = own.var(axis=0, ddof=1) * ways / (ways - 1)
    shrunk = ((tasks - 1) * variances + POOLED * variances.mean()) / (tasks - 1 + POOLED) * (1 + 1 / tasks)
    modes = next(iter(table.values()))
    return {mode: max(LEAST_SPREAD, float(value)) for mode, value in zip(modes, np.sqrt(shrunk), strict=True)}


def in_markdown(prior: Prior) -> str:
    """A table, the best way first."""
    lines = [
        f"| way | AP minus that of `{REFERENCE}` | spread | a quarter of the epochs minus all | time of a step |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{mode}` | {prior.gains[mode]:+.1f} | {prior.spread[mode]:.1f} | {prior.short[mode]:+.1f} "
        f"| {prior.seconds[mode]:.2f} |"
        for mode in sorted(prior.gains, key=lambda one: -prior.gains[one])
    ]
    lines += [
        "",
        f"{prior.source}; {', '.join(prior.tasks)}. A quarter of the epochs: from task to task "
        f"{prior.short_spread:.1f} AP more or less. Noise of one way on one image: {prior.noise:.1f} AP.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``prior.json``, print it as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--tasks", required=True, help="comma-separated")
    parser.add_argument("--modes", default=",".join(mode for mode in DEFAULT_MODES if mode not in UNTUNED))
    parser.add_argument("--model", default="glip-nano")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--protocol", help="default: the model's usual one")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("prior.json"))
    given = parser.parse_args(arguments)
    tasks, modes = given.tasks.split(","), given.modes.split(",")
    tables, source = collect(given.results, tasks, modes, given.model, given.shots, given.seed, given.protocol)
    found = combine(tables, quickest_steps(given.results, given.model), source)
    write_json(given.out, asdict(found))
    print(in_markdown(found))


if __name__ == "__main__":
    main()
