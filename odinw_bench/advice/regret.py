"""How good the advice is where the truth is known: AP lost against the best way on the test split, and at what time.

``python -m odinw_bench.advice.regret --results R --out FILE``: for each task of the miniature and each seed all ways
are run and tested on the test split, and advice is asked for with a part of the time that this took as its budget. Runs
that are among the records are not done again, whoever did them; nor are tasks and seeds that are in FILE.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from odinw_bench.advice.answer import advise
from odinw_bench.advice.prior import Prior, instead
from odinw_bench.advice.prior_measured import Measured, collect, combine, quickest_steps
from odinw_bench.advice.settings import DEFAULT_MODES
from odinw_bench.datasets.registry import list_tasks, load_task
from odinw_bench.metrics.stats import PERCENT, summarize
from odinw_bench.models import UNTUNED, find_mode, model_facts
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import RunRecord, find_records
from odinw_bench.runs.run import run
from odinw_bench.runs.spec import OFFICIAL_SEEDS, RunSpec
from odinw_bench.utils.io import read_json, write_json

SPEED = "zero-shot"
"""The run that tells how fast the machine is at the moment, against the time of the records."""


@dataclass(frozen=True)
class Conditions:
    """Under which advice is asked for.

    Attributes:
        results: folder of the records of all ways.
        advised: folder of the advice's own records, so that it finds nothing done.
        model: the detector.
        shots: images per class.
        part: of the time of all ways, the advice's budget.
        device: where to run.
        do_missing: run the ways that have no record; else a task that lacks one is left out.
        prior: records of the ways on validation splits, from which what is known beforehand is made for each task, of
            all tasks but that one; None: what ships with the program, whoever's validation splits it is from.
    """

    results: Path
    advised: Path
    model: str = "glip-nano"
    shots: int = 5
    part: float = 0.2
    device: str = "auto"
    do_missing: bool = True
    prior: Path | None = None

    def ways(self, task: str) -> list[str]:
        """The modes that are compared on a task of the miniature."""
        facts, entry = model_facts(self.model), load_task(task, "mini")
        return [one for one in DEFAULT_MODES if facts.allows(find_mode(one)) and (one != "manual" or entry.has_manual)]

    def spec(self, task: str, mode: str, seed: int) -> RunSpec:
        """The run of a way on the test split."""
        return RunSpec(task, self.model, "mini", mode, self.shots, seed)


class Truth:
    """The records of a grid, found by what was run: whether they also measured what tuning destroys does not count."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.found: dict[tuple[Any, ...], RunRecord] = {}
        for _, record in find_records(conditions.results):
            if record.is_done and record["spec"].get("suite") == "mini":
                self.found[_key(record["spec"], (record["protocol"] or {}).get("hyperparameters"))] = record

    def of(self, task: str, mode: str, seed: int) -> RunRecord | None:
        """The record of a way, run now where it is missing; None: it is missing and is not to be run."""
        conditions = self.conditions
        spec = conditions.spec(task, mode, seed)
        settings = prepare(spec, conditions.results).settings
        named = spec.to_json() | {"seed": 0 if mode in UNTUNED else seed}
        record = self.found.get(_key(named, settings.to_json() if settings else None))
        if record is None and (conditions.do_missing or mode in UNTUNED):
            record = run(spec, conditions.results, device=conditions.device)
        return record

    @cached_property
    def _on_validation(self) -> tuple[dict[str, Measured], dict[str, float], str]:
        conditions, modes = self.conditions, [mode for mode in DEFAULT_MODES if mode not in UNTUNED]
        assert conditions.prior is not None
        given = conditions.prior, list_tasks("mini"), modes, conditions.model, conditions.shots, OFFICIAL_SEEDS[0], None
        found, source = collect(*given)
        return found, quickest_steps(conditions.prior, conditions.model), source

    def prior(self, task: str) -> Prior | None:
        """What is known before a task is looked at, from the other ones; None: what ships with the program."""
        if self.conditions.prior is None:
            return None
        found, steps, source = self._on_validation
        return combine({name: one for name, one in found.items() if name != task}, steps, source)


def _key(spec: Mapping[str, Any], hyperparameters: Any) -> tuple[Any, ...]:
    names = ("suite", "dataset", "model", "mode", "shots", "protocol", "precision", "eval_split", "prompt_style")
    seed = 0 if spec["mode"] in UNTUNED else spec["seed"]
    return (*(spec.get(name) for name in names), seed, spec.get("attributes"), repr(hyperparameters))


def regret(task: str, seed: int, truth: Truth) -> dict[str, Any] | str:
    """One task and seed.

    Args:
        task: of the miniature.
        seed: of subset and training.
        truth: the records of all ways.

    Returns:
        ``advised`` and ``best`` mode, their test AP, ``regret`` in AP, ``grid_seconds`` (of all ways, as long as they
        would take now) and ``advice_seconds``; or what is missing, in words.
    """
    conditions = truth.conditions
    records = {mode: truth.of(task, mode, seed) for mode in conditions.ways(task)}
    missing = [mode for mode, record in records.items() if record is None]
    if missing:
        return f"no record of {', '.join(missing)}"
    known = {mode: record for mode, record in records.items() if record is not None}
    aps = {mode: record.ap or 0.0 for mode, record in known.items()}
    place = conditions.advised / f"{task}-{seed}"
    shutil.rmtree(place, ignore_errors=True)  # of an earlier try, which would make this one look fast
    now = run(conditions.spec(task, SPEED, seed), place / "speed", device=conditions.device)
    slower = now.cost["test_seconds"] / known[SPEED].cost["test_seconds"]
    seconds = slower * sum(record.cost["tune_seconds"] + record.cost["test_seconds"] for record in known.values())
    with instead(truth.prior(task)):
        advice = advise(
            task,
            seconds * conditions.part,
            models=[conditions.model],
            modes=list(known),
            shots=conditions.shots,
            seed=seed,
            results=place,
            device=conditions.device,
            say=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
        )
    advised, best = advice.recommendation["mode"], max(aps, key=aps.__getitem__)
    return {
        "task": task,
        "seed": seed,
        "advised": advised,
        "expected_AP": advice.recommendation["expected_AP"],
        "best": best,
        "AP": aps,
        "regret": aps[best] - aps[advised],
        "grid_seconds": seconds,
        "advice_seconds": advice["seconds"],
        "tried": {one["mode"]: one["tried"] for one in advice["candidates"]},
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean regret in AP (over seeds, then over tasks), how often the best way was advised, share of the time.

    The interval (95 %) of the mean is Student's t on the logit scale, as regret cannot be negative, over the tasks'
    means: what the seeds of one task lose is alike.

    ``constant``: by way, the mean regret of always taking it, without any advice.
    """
    by_task: dict[str, list[float]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row["regret"])
    spread = summarize([statistics.fmean(lost) for lost in by_task.values()], limits=PERCENT)
    ways = [way for way in rows[0]["AP"] if all(way in row["AP"] for row in rows)]
    best = [max(row["AP"].values()) for row in rows]
    return {
        "mean_regret": spread.mean,
        "low": spread.low,
        "high": spread.high,
        "best_advised": statistics.fmean(row["regret"] == 0 for row in rows),
        "time_share": sum(row["advice_seconds"] for row in rows) / sum(row["grid_seconds"] for row in rows),
        "constant": {
            way: statistics.fmean(most - row["AP"][way] for most, row in zip(best, rows, strict=True)) for way in ways
        },
    }


def in_markdown(rows: Sequence[Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    """The table and what follows from it, in words.

    Args:
        rows: what :func:`regret` returned.
        missing: by task and seed, why there is no row.
    """
    lines = [
        "| task | seed | advised | its AP | best | its AP | regret | time |",
        "|---|---:|---|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        share = row["advice_seconds"] / row["grid_seconds"]
        lines.append(
            f"| {row['task']} | {row['seed']} | {row['advised']} | {row['AP'][row['advised']]:.1f} | {row['best']} "
            f"| {row['AP'][row['best']]:.1f} | {row['regret']:.1f} | {share:.0%} |"
        )
    if rows:
        found = summary(rows)
        low, high = found["low"], found["high"]
        interval = "" if low is None or high is None else f" (95 % interval over tasks {low:.1f} to {high:.1f})"
        constant = ", ".join(
            f"{way} {lost:.1f}" for way, lost in sorted(found["constant"].items(), key=lambda one: one[1])
        )
        lines += [
            "",
            f"{len(rows)} of {len(rows) + len(missing)} tasks and seeds: mean regret {found['mean_regret']:.2f} AP"
            f"{interval}, the best way advised in {found['best_advised']:.0%}, in {found['time_share']:.0%} of the "
            f"time of all ways. Mean regret of always taking one way: {constant}.",
        ]
    if missing:
        lines += ["", "Missing: " + "; ".join(f"{cell} ({why})" for cell, why in missing.items()) + "."]
    return "\n".join(lines)


def small_first(tasks: Sequence[str]) -> list[str]:
    """Tasks of the miniature by their number of classes and images."""

    def size(task: str) -> tuple[int, int]:
        entry = load_task(task, "mini")
        return len(entry.classes), sum(split.count or 0 for split in entry.splits.values())

    return sorted(tasks, key=size)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table in Markdown, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default="all", help="comma-separated, or all")
    parser.add_argument("--seeds", default=",".join(map(str, OFFICIAL_SEEDS)))
    parser.add_argument("--model", default="glip-nano")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--part", type=float, default=0.2, help="budget, in parts of the time of all ways")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="records of all ways; missing ones are run"
    )
    parser.add_argument("--advised", type=Path, default=Path("advised"), help="folder of the advice's own records")
    parser.add_argument("--out", type=Path, default=Path("regret.json"), help="rows; what is there is not done again")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no task is begun after so many")
    parser.add_argument("--no-missing", action="store_true", help="run no way that has no record, but for untuned ones")
    parser.add_argument(
        "--prior", type=Path, help="records on validation splits: what is known beforehand, from all other tasks"
    )
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    tasks = small_first(list_tasks("mini") if given.tasks == "all" else given.tasks.split(","))
    conditions = Conditions(
        given.results,
        given.advised,
        given.model,
        given.shots,
        given.part,
        given.device,
        not given.no_missing,
        given.prior,
    )
    of = {"model": given.model, "shots": given.shots, "part": given.part, "ways": list(DEFAULT_MODES)}
    of |= {} if given.prior is None else {"prior": "of the other tasks"}
    before = read_json(given.out, what="regret file") if given.out.is_file() else {}
    rows = list(before["rows"]) if before.get("of") == of else []
    done = {(row["task"], row["seed"]) for row in rows}
    truth, missing, started = Truth(conditions), dict[str, str](), time.monotonic()
    for seed in map(int, given.seeds.split(",")):
        for task in tasks:
            if (task, seed) in done:
                continue
            if time.monotonic() - started > 60 * given.minutes:
                missing[f"{task} seed {seed}"] = "no time"
                continue
            row = regret(task, seed, truth)
            if isinstance(row, str):
                missing[f"{task} seed {seed}"] = row
                continue
            rows.append(row)
            print(f"{task} seed {seed}: regret {row['regret']:.1f}", file=sys.stderr, flush=True)
            write_json(given.out, {"of": of, "rows": rows, **summary(rows)})
    print(in_markdown(rows, missing))


if __name__ == "__main__":
    main()
