"""What the recommended way costs in zero-shot ability: AP on other things than the user's, before tuning and after."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from odinw_bench.advice.candidates import Candidate, Say, spec_of
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget
from odinw_bench.datasets.retained import MINI, RetainedTasks, open_retained, other_tasks
from odinw_bench.datasets.task import Task
from odinw_bench.engine.distributed import SINGLE_PROCESS
from odinw_bench.models import model_facts
from odinw_bench.runs.loading import load_run
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.retention import measure, measure_base
from odinw_bench.runs.work import load_tunable
from odinw_bench.utils.hardware import pick_device

SLOWER = 1.5
"""Loading the model and drawing or reading other images take time of their own."""


def check_retention(task: Task, settings: AdviceSettings) -> None:
    """Find out at the beginning whether what is asked can be used at the end.

    Args:
        task: that is advised on.
        settings: of the advice.

    Raises:
        InputError: there is no such suite, task or folder, or its data are missing or unusable.
    """
    if not any(model_facts(model).has_text for model in settings.models):
        return  # nothing will be asked
    for one in other_tasks(settings.retention, task):
        if one.suite != MINI:  # drawn: takes time, and nothing of it can be missing
            open_retained(one, settings.data_root)


def zero_shot_lost(
    candidate: Candidate, labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say
) -> dict[str, Any] | None:
    """Mean AP on ``settings.retention`` before and after the tuning of the first fold.

    Args:
        candidate: the way; None is returned for one without records.
        labelled: the images.
        settings: of the advice.
        budget: nothing is measured that would not end in it, by the speed of the candidate's own test.
        say: called with the result.

    Returns:
        ``asked``, ``before``, ``after`` and ``lost`` (AP, percent); None where nothing was tuned or is asked beside the
        task itself, the model reads no prompt, or there is no time.

    Raises:
        InputError: what is asked cannot be used.
    """
    tuned = candidate.tunes and candidate.records
    if not tuned or not settings.retention or not model_facts(candidate.model).has_text:
        return None
    if not other_tasks(settings.retention, labelled.task):
        return None
    short = not candidate.full
    fold = labelled.few(settings.seed) if short else labelled.folds[0]
    cell = prepare(spec_of(candidate, fold.file, settings, short=short), settings.results, data_root=settings.data_root)
    # Beside the task itself, not the fold, which is a data set of its own: the task's test split is not asked about.
    cell = replace(cell, retained=RetainedTasks(settings.data_root).of(settings.retention, labelled.task))
    record = candidate.records[0]
    images = sum(len(one.split) for one in cell.retained)
    if SLOWER * 2 * images / max(record.cost["images_per_second"], 1e-9) > budget.left():
        return None
    device = pick_device(settings.device)
    before = measure_base(load_tunable(cell, device), cell, settings.results, SINGLE_PROCESS)
    assert record.folder is not None
    after = measure(load_run(record.folder, device).model, cell.retained, "fp32", SINGLE_PROCESS)
    means = statistics.fmean(before.values()), statistics.fmean(after.values())
    say(f"zero-shot on {', '.join(settings.retention)}: AP {means[0]:.1f} before tuning, {means[1]:.1f} after")
    return {"asked": list(settings.retention), "before": means[0], "after": means[1], "lost": means[0] - means[1]}
