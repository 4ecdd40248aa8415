"""Advice: from labelled images, within a budget, to the way to use and what to expect of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.advice.belief import Belief, believe
from odinw_bench.advice.candidates import Candidate, Say, list_candidates, results_on
from odinw_bench.advice.curve import learning_curve
from odinw_bench.advice.failures import failures
from odinw_bench.advice.folds import FEW, Labelled
from odinw_bench.advice.lost import check_retention, zero_shot_lost
from odinw_bench.advice.racing import race, ranked
from odinw_bench.advice.recommending import CLEAR, listed, recommend
from odinw_bench.advice.settings import DEFAULT_MODES, AdviceSettings, Budget
from odinw_bench.advice.words import prompt_words
from odinw_bench.datasets.checks import check_task
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.task import Task
from odinw_bench.models import model_facts
from odinw_bench.runs.spec import Shots
from odinw_bench.utils.io import write_json


@dataclass(frozen=True, eq=False)
class Advice(Mapping[str, Any]):
    """What was found; as a mapping it is what ``odinw-bench advise --json`` prints.

    Attributes:
        content: ``recommendation`` (``model``, ``mode``, ``expected_AP``, ``low``, ``high`` in percent, ``short``: with
            few epochs only, ``tried``: else the AP is what other ways and other tasks let expect, ``command``,
            ``images_tested``, ``tune_seconds``, ``peak_memory_bytes``, ``kept_bytes``), ``runner_up`` (None: there is
            none), ``candidates``, ``prompt_words`` (see :func:`odinw_bench.advice.words.prompt_words`),
            ``learning_curve``, ``failures`` and ``failures_of`` (the best way that was tried), ``zero_shot``, ``data``,
            ``notes``, ``seconds`` and ``budget_seconds``.
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

    The test split has no part in it. Every evaluation is an ordinary record, and one that is there is not done again:
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
        InputError: data, models or modes cannot be used, the budget is too small for a first result, or every run that
            was tried failed.
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
    check_retention(task, settings)
    checked = _check(task, settings)
    labelled = Labelled(task, settings)
    say(f"{task.name}: {labelled.note}")
    candidates = list_candidates(labelled, settings)
    race(candidates, labelled, settings, budget, say)
    belief = believe(candidates, labelled)
    order = ranked(belief)
    if not order:
        failed = next((one for one in candidates if one.failed), None)
        if failed is not None:
            raise InputError(f"no way of adapting has a result; {failed.name} failed: {failed.failed}")
        raise InputError(
            f"no way was tested within {budget_seconds:g} s: give a larger --budget (what was begun is resumed), "
            "a smaller --models, or another --device"
        )
    best = order[0]
    tried = next(one for one in order if one.records)
    # First what the recommendation depends on, then what is good to know.
    words = _words(candidates, labelled, settings, budget, say) if best.mode == "manual" else None
    grown = next((one for one in order if 0 in one.full and one.tunes), None)
    say("measuring what more labels would bring")
    curve = learning_curve(grown, labelled, settings, budget, say) if grown else []
    lost, not_asked = None, []
    try:
        lost = zero_shot_lost(best, labelled, settings, budget, say)
    except InputError as error:  # the answer does not depend on it
        not_asked = [f"zero-shot ability was not measured: {error}"]
    if best.mode != "manual":
        words = _words(candidates, labelled, settings, budget, say)
    truth, rows = results_on(tried, labelled, sorted(tried.records))
    recommendation, runner_up = recommend(order, belief, labelled, settings, words)
    untried = [one for one in candidates if one not in order]
    content = {
        "recommendation": recommendation,
        "runner_up": runner_up,
        "candidates": [listed(one, labelled, settings) for one in [*order, *untried]],
        "prompt_words": words,
        "learning_curve": curve,
        "zero_shot": lost,
        "learning_curve_of": grown.mode if grown and curve else None,
        "failures": failures(labelled, truth, rows),
        "failures_of": {"model": tried.model, "mode": tried.mode},
        "data": {
            "task": task.name,
            "path": task.place,
            "images": len(labelled.names),
            "training_images": len(labelled.train),
            "classes": task.class_names,
            "tested": labelled.note,
        },
        "notes": [
            *(*checked, *task.notes, *labelled.notes, *_limits(task, settings)),
            *_doubts(order, untried, belief, curve, runner_up),
            *not_asked,
        ],
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


def _words(
    candidates: Sequence[Candidate], labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say
) -> dict[str, Any] | None:
    """Of the best way that uses a hand-written prompt."""
    manual = [one for one in believe(candidates, labelled).order() if one.mode == "manual" and one.full]
    return prompt_words(manual[0], labelled, settings, budget, say) if manual else None


def _doubts(
    order: Sequence[Candidate],
    untried: Sequence[Candidate],
    belief: Belief,
    curve: Sequence[Any],
    runner_up: Mapping[str, Any] | None,
) -> list[str]:
    best = order[0]
    errors: dict[str, list[str]] = {}
    for one in (*order, *untried):
        if one.failed:
            errors.setdefault(one.failed, []).append(one.name)
    notes = [f"a run of {', '.join(names)} failed: {error}" for error, names in errors.items()]
    if best.records and len(order) > 1:
        notes.append(
            "the best of several is chosen on the images that its AP is measured on: expect a little less, the more so "
            "the wider the interval is"
        )
    promising = [
        f"{one.name} {100 * belief.probability(one, best):.0f} %"
        for one in untried
        if one.tunes and one.stopped and not one.failed
    ]
    if promising:
        notes.append(
            "ways that were not tried, and the probability that they are better than the recommended one, by how ways "
            f"differed on drawn tasks: {', '.join(promising)}"
        )
    if not best.records:
        notes.append(
            f"{best.name} was not tried on these images ({best.stopped}): it is recommended by how the ways differed "
            "on drawn tasks, and its AP is what these and the ways that were tried let expect; a larger --budget tries "
            "it"
        )
    elif not best.full and not best.failed:
        notes.append(
            "there was time for few epochs only: the AP, time and memory are those of such a short tuning on at most "
            f"{FEW} images; the whole recipe takes longer and usually brings more"
        )
    elif best.tunes and len(best.full) < 2 and not best.failed:
        notes.append("the budget ended before the best way was tested on all folds: a larger --budget makes this surer")
    if runner_up is not None and runner_up["probability"] < CLEAR:
        notes.append("best and runner-up are not clearly different on these images")
    if not curve:
        notes.append(
            "no learning curve: nothing tuned was tested in full, or there was no time or too few images for it"
        )
    return notes
