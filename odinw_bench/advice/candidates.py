"""The ways that are compared: a model and a mode each, with the runs that were done of it."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.advice.folds import Fold, Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget, OutOfTime
from odinw_bench.engine.recipes import Hyperparameters, hyperparameters
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models import UNTUNED, find_mode, model_facts
from odinw_bench.runs.claims import is_full
from odinw_bench.runs.record import RunRecord
from odinw_bench.runs.run import describe, run
from odinw_bench.runs.spec import RunSpec
from odinw_bench.utils.io import read_json

Say = Callable[[str], None]
SHORT = 4
"""Where there is no time for more, ways are compared by models that were tuned for one epoch in so many."""


@dataclass
class Candidate:
    """A way of adapting.

    Attributes:
        model: the detector.
        mode: the tuning mode.
        place: in the order from cheap to dear.
        short: records with a part of the epochs, by fold number.
        full: records with all epochs, by fold number.
        seconds: that its runs took, tuning and testing, of whichever call.
        stopped: why nothing more was tried, in words; empty: it was not stopped.
        failed: the error that a run of it ended with, on one line; empty: none did.
    """

    model: str
    mode: str
    place: int
    short: dict[int, RunRecord] = field(default_factory=dict)
    full: dict[int, RunRecord] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: str = ""
    failed: str = ""

    @property
    def tunes(self) -> bool:
        """Whether anything is trained."""
        return self.mode not in UNTUNED

    @property
    def is_out(self) -> bool:
        """Whether a run failed before there was any with all epochs: then there is no reason to rely on it."""
        return bool(self.failed) and not self.full

    @property
    def name(self) -> str:
        """Model and mode, for people."""
        return f"{self.model} {self.mode}"

    @property
    def records(self) -> dict[int, RunRecord]:
        """The best that is known of it, by fold number: with all epochs where there are such."""
        return self.full or self.short


def list_candidates(labelled: Labelled, settings: AdviceSettings) -> list[Candidate]:
    """Every model in every mode that it and the data have, from cheap to dear.

    Raises:
        InputError: a model or mode is unknown, or nothing is left.
    """
    found: list[Candidate] = []
    for mode in settings.modes:
        chosen = find_mode(mode)
        for model in settings.models:
            facts = model_facts(model)
            if not facts.allows(chosen) or (chosen.needs_text and not facts.has_text):
                continue
            if mode == "manual" and not labelled.task.has_manual:
                continue
            found.append(Candidate(model, mode, len(found)))
    if not found:
        raise InputError(f"none of {', '.join(settings.modes)} can be done with {', '.join(settings.models)} here")
    return sorted(found, key=lambda one: one.tunes)


def recipe_of(candidate: Candidate, settings: AdviceSettings) -> Hyperparameters:
    """The recipe of the run that is advised on."""
    wanted = RunSpec("", candidate.model, settings.suite, candidate.mode, settings.shots, settings.seed)
    return hyperparameters(wanted.protocol_name, candidate.mode, settings.shots, model=candidate.model)


def spec_of(candidate: Candidate, file: Path, settings: AdviceSettings, *, short: bool) -> RunSpec:
    """The run of a candidate on a fold: the recipe of the run that is advised on, whatever the fold's size."""
    base = RunSpec(str(file), candidate.model, settings.suite, candidate.mode, "all", settings.seed)
    if not candidate.tunes:
        return base
    wanted = RunSpec(str(file), candidate.model, settings.suite, candidate.mode, settings.shots, settings.seed)
    recipe = recipe_of(candidate, settings)
    values: dict[str, Any] = dict(recipe.to_json())
    like = hyperparameters(base.protocol_name, candidate.mode, "all", model=candidate.model).to_json()
    changes = {name: value for name, value in values.items() if like.get(name) != value}
    if like.get("min_steps_per_epoch"):  # which other repeats alone would put out of force
        changes["min_steps_per_epoch"] = recipe.min_steps_per_epoch
    if short and recipe.epochs > 1:
        epochs = max(1, math.ceil(recipe.epochs / SHORT))
        changes |= {"epochs": epochs, "eval_every": min(recipe.eval_every, epochs)}
    return replace(base, protocol=wanted.protocol, overrides=changes)


def do(
    candidate: Candidate,
    fold: Fold,
    settings: AdviceSettings,
    budget: Budget,
    share: float,
    say: Say,
    *,
    short: bool = False,
) -> RunRecord | None:
    """Do one run, or read the record of it; None where its share of the budget ended before it did, or it failed.

    Raises:
        InputError: the disk is full: then no other run would do better.
        OSError: likewise.
    """

    def watch(_: str) -> None:
        if budget.left(share) < 0:
            raise OutOfTime

    started = time.perf_counter()
    record = None
    try:
        spec = spec_of(candidate, fold.file, settings, short=short)
        record = run(spec, settings.results, device=settings.device, say=watch)
    except OutOfTime:
        candidate.stopped = "the time was over"
        say(f"{candidate.name}, {fold.name}: stopped, the time for it is over")
        return None
    except Exception as error:
        if is_full(error) or (isinstance(error.__cause__, OSError) and is_full(error.__cause__)):
            raise
        candidate.failed = describe(error)
        candidate.stopped = f"it failed: {candidate.failed}"
        say(f"{candidate.name}, {fold.name}: {candidate.stopped}")
    if record is None:
        gc.collect()  # the error's frames refer to each other, and would keep the model in memory
        return None
    cost = record.cost
    candidate.seconds += (cost.get("tune_seconds") or 0.0) + (cost.get("test_seconds") or 0.0)
    ap = "nothing to find" if record.ap is None else f"AP {record.ap:.1f}"
    few = " with few epochs" if short and candidate.tunes else ""
    say(f"{candidate.name}, {fold.name}{few}: {ap} ({time.perf_counter() - started:.0f} s)")
    return record


def results_on(
    candidate: Candidate, labelled: Labelled, numbers: list[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth and detections of some folds together.

    Args:
        candidate: with records of these folds.
        labelled: the images.
        numbers: of the folds.
    """
    tested = [image for number in numbers for image in labelled.folds[number].tested]
    rows: list[dict[str, Any]] = []
    for number in numbers:
        folder = candidate.records[number].folder
        assert folder is not None
        rows += read_json(folder / "predictions.json", what="predictions")
    return labelled.truth(tested), rows


def ap_on(candidate: Candidate, labelled: Labelled, numbers: list[int]) -> float:
    """AP in percent on some folds together; 0 where there is nothing to find."""
    return evaluate(*results_on(candidate, labelled, numbers), official_ids=False)["AP"] or 0.0
