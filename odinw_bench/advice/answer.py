"""Advice: from labelled images, within a budget, to the way to use and what to expect of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from glip_core.errors import InputError
from odinw_bench.advice.candidates import Candidate, Say, list_candidates, results_on
from odinw_bench.advice.curve import learning_curve
from odinw_bench.advice.failures import failures
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.halving import halve, ranked
from odinw_bench.advice.lost import zero_shot_lost
from odinw_bench.advice.settings import DEFAULT_MODES, AdviceSettings, Budget
from odinw_bench.datasets.checks import check_task
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.task import Task
from odinw_bench.metrics.stats import paired_bootstrap, resampled_aps
from odinw_bench.models import model_facts
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.spec import RunSpec, Shots
from odinw_bench.utils.io import write_json

SAMPLES = 500
CLEAR = 0.95
"""Probability from which on the best is called clearly better than the runner-up."""


@dataclass(frozen=True, eq=False)
class Advice(Mapping[str, Any]):
    """What was found; as a mapping it is what ``odinw-bench advise --json`` prints.

    Attributes:
        content: ``recommendation`` (``model``, ``mode``, ``expected_AP``, ``low``, ``high`` in percent, ``command``,
            ``images_tested``, ``tune_seconds``, ``peak_memory_bytes``, ``kept_bytes``), ``runner_up`` (None: there is
            none), ``candidates``, ``learning_curve``, ``failures``, ``zero_shot``, ``data``, ``notes``, ``seconds`` and
            ``budget_seconds``.
        labelled: the images, for pages that show some.
    """

    content: Mapping[str, Any]
    labelled: Labelled = field(repr=False)

    @property
    def recommendation(self) -> Mapping[str, Any]:
        """The way to use."""
        found: Mapping[str, Any] = self.content["recommendation"]
        return found

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


def advise(
    data: Path | str,
    budget_seconds: float = 600.0,
    *,
    models: Sequence[str] = ("glip-nano",),
    modes: Sequence[str] = DEFAULT_MODES,
    suite: str = "mini",
    shots: Shots = "all",
    seed: int = 3,
    results: Path | str = "results",
    data_root: Path | str | None = None,
    device: str = "auto",
    retention: Sequence[str] = ("mini",),
    say: Say = lambda _: None,
) -> Advice:
    """Which way of adapting to use on some labelled images.

    The test split is not looked at. Every evaluation is an ordinary record, and one that is there is not done again:
    asked once more, with a larger budget, the advice resumes.

    Args:
        data: the path of a data set in any form, or the name of a task of ``suite``.
        budget_seconds: within which the answer comes.
        models: detectors to compare.
        modes: tuning modes to compare.
        suite: where to look ``data`` up where it is a name.
        shots: images per class to use of the training split, or ``"all"``.
        seed: of subset, folds and training.
        results: folder of the records; the answer is written into its ``advice/``.
        data_root: folder of the official data.
        device: ``auto``, ``cpu``, ``cuda[:N]`` or ``mps``.
        retention: data sets that the recommended way is asked zero-shot, before tuning and after, where time is left.
        say: called with a line of text on each step.

    Raises:
        InputError: data, models or modes cannot be used, or the budget is too small for a first result.
    """
    settings = AdviceSettings(
        str(data),
        budget_seconds,
        tuple(models),
        tuple(modes),
        suite,
        shots,
        seed,
        Path(results),
        None if data_root is None else Path(data_root),
        device,
        tuple(retention),
    )
    budget = Budget(budget_seconds)
    task = load_task(data, suite)
    if task.evaluation != "coco":
        raise InputError(f"advice is for classes of boxes; '{task.name}' is tested by '{task.evaluation}'")
    checked = _check(task, settings)
    labelled = Labelled(task, settings)
    say(f"{task.name}: {labelled.note}")
    candidates = list_candidates(labelled, settings)
    halve(candidates, labelled, settings, budget, say)
    order = ranked(candidates, labelled)
    if not order:
        raise InputError(
            f"no way was tested within {budget_seconds:g} s: give a larger --budget (what was begun is resumed), "
            "a smaller --models, or another --device"
        )
    grown = next((one for one in order if 0 in one.full and one.tunes), None)
    say("measuring what more labels would bring")
    curve = learning_curve(grown, labelled, settings, budget, say) if grown else []
    best = order[0]
    truth, rows = results_on(best, labelled, sorted(best.records))
    recommendation, runner_up = _recommend(order, labelled, settings)
    content = {
        "recommendation": recommendation,
        "runner_up": runner_up,
        "candidates": [_entry(one, labelled, settings) for one in [*order, *(c for c in candidates if c not in order)]],
        "learning_curve": curve,
        "zero_shot": zero_shot_lost(best, labelled, settings, budget, say),
        "learning_curve_of": grown.mode if grown and curve else None,
        "failures": failures(labelled, truth, rows),
        "data": {
            "task": task.name,
            "path": task.place,
            "images": len(labelled.names),
            "training_images": len(labelled.train),
            "classes": task.class_names,
            "tested": labelled.note,
        },
        "notes": [*checked, *task.notes, *_limits(task, settings), *_doubts(order, curve, runner_up)],
        "seconds": round(budget.spent, 2),
        "budget_seconds": budget_seconds,
    }
    write_json(labelled.folder / "advice.json", content)
    return Advice(content, labelled)


def _check(task: Task, settings: AdviceSettings) -> list[str]:
    """What is wrong or odd in the data, in words."""
    found = check_task(task, settings.data_root, pictures=False).findings
    return [f"data check, {one.split}: {one.kind}, {one.count} times ({'; '.join(one.examples)})" for one in found]


def _limits(task: Task, settings: AdviceSettings) -> list[str]:
    nano = [model for model in settings.models if model_facts(model).nano]
    if not nano or task.source.kind == "miniature":
        return []
    whole = "" if len(nano) < len(settings.models) else "; for photos give --models glip-t (downloads its weights)"
    return [
        f"{' and '.join(nano)}: pre-trained on drawn scenes only, and so of little use on photos; its AP says nothing "
        f"about the larger models{whole}"
    ]


def _doubts(order: Sequence[Candidate], curve: Sequence[Any], runner_up: Mapping[str, Any] | None) -> list[str]:
    notes = []
    best = order[0]
    if len(order) > 1:
        notes.append(
            "the best of several is chosen on the images that its AP is measured on: expect a little less, the more so "
            "the wider the interval is"
        )
    if best.tunes and len(best.full) < 2:
        notes.append("the budget ended before the best way was tested on all folds: a larger --budget makes this surer")
    if runner_up is not None and runner_up["probability"] is not None and runner_up["probability"] < CLEAR:
        notes.append("best and runner-up are not clearly different on these images")
    if not curve:
        notes.append(
            "no learning curve: nothing tuned was tested in full, or there was no time or too few images for it"
        )
    return notes


def _recommend(
    order: Sequence[Candidate], labelled: Labelled, settings: AdviceSettings
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    best = order[0]
    entry = _entry(best, labelled, settings)
    recommendation = {
        "model": best.model,
        "mode": best.mode,
        "expected_AP": entry["AP"],
        "low": entry["low"],
        "high": entry["high"],
        "command": _command(best, labelled.task, settings),
        **{name: entry[name] for name in ("images_tested", "tune_seconds", "peak_memory_bytes", "kept_bytes")},
    }
    if len(order) < 2:
        return recommendation, None
    second = order[1]
    shared = sorted(set(best.records) & set(second.records))
    runner_up: dict[str, Any] = {
        "model": second.model,
        "mode": second.mode,
        "difference": None,
        "low": None,
        "high": None,
        "probability": None,
    }
    if shared:
        truth, rows = results_on(best, labelled, shared)
        compared = paired_bootstrap(truth, rows, results_on(second, labelled, shared)[1], SAMPLES, settings.seed)
        runner_up |= {
            "difference": compared.difference,
            "low": compared.low,
            "high": compared.high,
            "probability": compared.probability_better,
        }
    return recommendation, runner_up


def _entry(candidate: Candidate, labelled: Labelled, settings: AdviceSettings) -> dict[str, Any]:
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
        kept = [record.files.get("tuned.safetensors", {}).get("size", 0) for record in records.values()]
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
    return f"not tried: {candidate.stopped}"


def _command(candidate: Candidate, task: Task, settings: AdviceSettings) -> str:
    """What trains and uses a way: on the training and validation split, with a look at the test split."""
    data = str(settings.data) if task.place is None else task.place
    where = ["--suite", settings.suite] if task.place is None else []
    where += [] if settings.data_root is None or task.place is not None else ["--data-root", str(settings.data_root)]
    spec = RunSpec(data, candidate.model, settings.suite, candidate.mode, settings.shots, settings.seed)
    run = ["odinw-bench", "run", *where, "--dataset", data, "--model", candidate.model, "--mode", candidate.mode]
    run += ["--shots", str(settings.shots), "--seed", str(settings.seed)] if candidate.tunes else []
    try:
        folder = prepare(spec, settings.results, data_root=settings.data_root).folder
    except InputError:  # such as a data set whose test split is not here
        spec = replace(spec, eval_split=task.selection_split)
        run += ["--eval-split", spec.eval_split]
        folder = prepare(spec, settings.results, data_root=settings.data_root).folder
    run += ["--results", str(settings.results)]
    return f"{shlex.join(run)} && {shlex.join(['odinw-bench', 'predict', 'PHOTO.jpg', '--run', str(folder)])}"
