"""What is recommended, against what, and all that was compared, as the answer lists it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glip_core.errors import InputError
from odinw_bench.advice.belief import Belief
from odinw_bench.advice.candidates import Candidate, results_on
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.advice.timing import Timing
from odinw_bench.datasets.task import Task
from odinw_bench.metrics.stats import resampled_aps
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.spec import RunSpec

SAMPLES = 500
CLEAR = 0.95
"""Probability from which on the best is called clearly better than the runner-up."""

WITHIN = 1.96
"""Standard deviations within which 95 % of a normal distribution lie."""


def recommend(
    order: Sequence[Candidate],
    belief: Belief,
    labelled: Labelled,
    settings: AdviceSettings,
    words: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """``recommendation`` and ``runner_up`` of the answer.

    Args:
        order: candidates, the best first, which alone may be without records.
        belief: how good they probably are.
        labelled: the images.
        settings: of the advice.
        words: what :func:`odinw_bench.advice.words.prompt_words` found; where a hand-written prompt is recommended, it
            is the simplest one.
    """
    best = order[0]
    entry = listed(best, labelled, settings)
    if not best.records:
        expected, deviation = belief.expected(best)
        low, high = expected - WITHIN * deviation, expected + WITHIN * deviation
        entry |= dict(zip(("AP", "low", "high"), map(float, np.clip([expected, low, high], 0.0, 100.0)), strict=True))
        entry["tune_seconds"] = round(Timing(belief.candidates, labelled, settings).seconds(best, 0), 2)
    simplest = words["simplest"] if words and best.mode == "manual" and words["model"] == best.model else None
    recommendation = {
        "model": best.model,
        "mode": best.mode,
        "expected_AP": entry["AP"],
        "low": entry["low"],
        "high": entry["high"],
        "short": bool(best.short) and not best.full,
        "tried": bool(best.records),
        "command": _command(best, labelled.task, settings, simplest["file"] if simplest else None),
        **{name: entry[name] for name in ("images_tested", "tune_seconds", "peak_memory_bytes", "kept_bytes")},
    }
    if words and simplest:
        recommendation |= {"expected_AP": simplest["AP"], "low": simplest["low"], "high": simplest["high"]}
        recommendation["images_tested"] = words["images"]
    if len(order) < 2:
        return recommendation, None
    second = order[1]
    difference, deviation = belief.difference(best, second)
    return recommendation, {
        "model": second.model,
        "mode": second.mode,
        "difference": difference,
        "low": difference - WITHIN * deviation,
        "high": difference + WITHIN * deviation,
        "probability": belief.probability(best, second),
    }


def listed(candidate: Candidate, labelled: Labelled, settings: AdviceSettings) -> dict[str, Any]:
    """A candidate as the answer lists it."""
    records = candidate.records
    entry: dict[str, Any] = {"model": candidate.model, "mode": candidate.mode, "AP": None, "low": None, "high": None}
    entry |= {
        "images_tested": 0,
        "folds": len(records),
        "tune_seconds": None,
        "peak_memory_bytes": None,
        "kept_bytes": None,
    }
    if records:
        truth, rows = results_on(candidate, labelled, sorted(records))
        (ap,), drawn = resampled_aps(truth, [rows], SAMPLES, settings.seed)
        low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
        costs = [record.cost for record in records.values()]
        memory = [cost["peak_memory_bytes"] for cost in costs if cost.get("peak_memory_bytes")]
        kept = [record.kept_bytes or 0 for record in records.values()]
        entry |= {
            "AP": ap,
            "low": float(low),
            "high": float(high),
            "images_tested": len(truth["images"]),
            "tune_seconds": round(max(cost.get("tune_seconds") or 0.0 for cost in costs), 2),
            "peak_memory_bytes": max(memory, default=None),
            "kept_bytes": max(kept),
        }
    entry["tried"] = _tried(candidate)
    entry["seconds"] = round(candidate.seconds, 2)
    entry["records"] = [str(record.folder) for record in {**candidate.short, **candidate.full}.values()]
    return entry


def _tried(candidate: Candidate) -> str:
    if candidate.full:
        return f"in full on {len(candidate.full)} fold{'s' if len(candidate.full) > 1 else ''}"
    if candidate.short:
        return "with few epochs on one fold"
    return candidate.stopped if candidate.failed else f"not tried: {candidate.stopped}"


def _command(candidate: Candidate, task: Task, settings: AdviceSettings, attributes: str | None) -> str:
    """What trains and uses a way: on the training and validation split, with a look at the test split."""
    data = str(settings.data) if task.place is None else task.place
    where = ["--suite", settings.suite] if task.place is None else []
    where += [] if settings.data_root is None or task.place is not None else ["--data-root", str(settings.data_root)]
    spec = RunSpec(data, candidate.model, settings.suite, candidate.mode, settings.shots, settings.seed)
    spec = replace(spec, attributes=attributes)
    run = ["odinw-bench", "run", *where, "--dataset", data, "--model", candidate.model, "--mode", candidate.mode]
    run += ["--shots", str(settings.shots), "--seed", str(settings.seed)] if candidate.tunes else []
    run += ["--attributes", attributes] if attributes else []
    try:
        folder = prepare(spec, settings.results, data_root=settings.data_root).folder
    except InputError:  # such as a data set whose test split is not here
        spec = replace(spec, eval_split=task.selection_split)
        run += ["--eval-split", spec.eval_split]
        folder = prepare(spec, settings.results, data_root=settings.data_root).folder
    run += ["--results", str(settings.results)]
    return f"{shlex.join(run)} && {shlex.join(['odinw-bench', 'predict', 'PHOTO.jpg', '--run', str(folder)])}"
