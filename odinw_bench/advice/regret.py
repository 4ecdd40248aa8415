"""How good the advice is where the truth is known: AP lost against the best way on the test split, and at what time.

``python -m odinw_bench.advice.regret --results R --out FILE``: for each task of the miniature and each seed the full
grid of ways is run and tested on the test split, and advice is asked for with a part of the grid's time as its budget.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odinw_bench.advice.answer import advise
from odinw_bench.advice.settings import DEFAULT_MODES
from odinw_bench.datasets.registry import list_tasks, load_task
from odinw_bench.models import find_mode, model_facts
from odinw_bench.runs.run import run
from odinw_bench.runs.spec import OFFICIAL_SEEDS, RunSpec
from odinw_bench.utils.io import write_json


def regret(task: str, seed: int, *, model: str, shots: int, part: float, results: Path, device: str) -> dict[str, Any]:
    """One task and seed.

    Args:
        task: of the miniature.
        seed: of subset and training.
        model: the detector.
        shots: images per class.
        part: of the grid's time, the advice's budget.
        results: folder of the records; the advice has its own below it, so that it finds nothing done.
        device: where to run.

    Returns:
        ``advised`` and ``best`` mode, their test AP, ``regret`` in AP, ``grid_seconds`` and ``advice_seconds``.
    """
    facts, entry = model_facts(model), load_task(task, "mini")
    modes = [one for one in DEFAULT_MODES if facts.allows(find_mode(one)) and (one != "manual" or entry.has_manual)]
    truth: dict[str, float] = {}
    grid_seconds = 0.0
    for mode in modes:
        record = run(RunSpec(task, model, "mini", mode, shots, seed), results / "grid", device=device)
        truth[mode] = record.ap or 0.0
        grid_seconds += record.cost["tune_seconds"] + record.cost["test_seconds"]
    place = results / "advised" / f"{task}-{seed}"
    advice = advise(task, grid_seconds * part, models=[model], shots=shots, seed=seed, results=place, device=device)
    advised, best = advice.recommendation["mode"], max(truth, key=truth.__getitem__)
    return {
        "task": task,
        "seed": seed,
        "advised": advised,
        "expected_AP": advice.recommendation["expected_AP"],
        "advised_AP": truth[advised],
        "best": best,
        "best_AP": truth[best],
        "regret": truth[best] - truth[advised],
        "grid_seconds": grid_seconds,
        "advice_seconds": advice["seconds"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table in Markdown, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default="all", help="comma-separated, or all")
    parser.add_argument("--seeds", default=",".join(map(str, OFFICIAL_SEEDS)))
    parser.add_argument("--model", default="glip-nano")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--part", type=float, default=0.2, help="budget, in parts of the grid's time")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("regret.json"))
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    tasks = list_tasks("mini") if given.tasks == "all" else given.tasks.split(",")
    rows = []
    for seed in map(int, given.seeds.split(",")):
        for task in tasks:
            row = regret(
                task,
                seed,
                model=given.model,
                shots=given.shots,
                part=given.part,
                results=given.results,
                device=given.device,
            )
            rows.append(row)
            print(f"{task} seed {seed}: regret {row['regret']:.1f}", file=sys.stderr, flush=True)
            write_json(given.out, {"rows": rows, **summary(rows)})
    print("| task | seed | advised | its AP | best | its AP | regret | time |\n|---|---:|---|---:|---|---:|---:|---:|")
    for row in rows:
        share = row["advice_seconds"] / row["grid_seconds"]
        print(
            f"| {row['task']} | {row['seed']} | {row['advised']} | {row['advised_AP']:.1f} | {row['best']} "
            f"| {row['best_AP']:.1f} | {row['regret']:.1f} | {share:.0%} |"
        )
    found = summary(rows)
    print(
        f"\nmean regret {found['mean_regret']:.2f} AP, the best way advised in {found['best_advised']:.0%}, "
        f"time {found['time_share']:.0%} of the grid's"
    )


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean regret in AP, how often the best way was advised, and the share of the grid's time."""
    return {
        "mean_regret": statistics.fmean(row["regret"] for row in rows),
        "best_advised": statistics.fmean(row["regret"] == 0 for row in rows),
        "time_share": sum(row["advice_seconds"] for row in rows) / sum(row["grid_seconds"] for row in rows),
    }


if __name__ == "__main__":
    main()
