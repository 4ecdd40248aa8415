"""The study of a search: where it is kept, and one trial after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback, Study
from optuna.trial import FrozenTrial, Trial, TrialState

from glip_core.errors import InputError, without_passwords
from odinw_bench.engine.scorer import Scorer
from odinw_bench.search.journal import JournalLock
from odinw_bench.search.sampler import BY_GROUP, STARTUP
from odinw_bench.search.space import SHARED, PromptSpace
from odinw_bench.search.workers import WORKER, whole, working
from odinw_bench.utils.text import shorten_text

GIVEN = "given"
"""User attribute of a trial that was not suggested: what it is."""

SCHEMA = 1
"""Of ``search.json``."""

BEST = "best found"
SIMPLEST = "simplest"
"""The best prompt without the words that earn nothing."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
Say = Callable[[str], None]


def open_storage(storage: str | None, folder: Path) -> BaseStorage:
    """Where trials are kept, so that a killed search can be resumed and workers can share it.

    Args:
        storage: a database's URL (``sqlite:///file``, ``postgresql://...``); None: a journal file in the folder.
        folder: of the search.

    Raises:
        InputError: the database cannot be reached, or its driver is missing.
    """
    if storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        journal = folder / "study.journal"
        return JournalStorage(JournalFileBackend(str(journal), JournalLock(journal)))
    try:
        return RDBStorage(storage)
    except Exception as error:  # what a driver raises depends on the driver
        shown, reason = without_passwords(storage), shorten_text(str(error))
        if shown != storage and not isinstance(error, ImportError):
            # A driver's words may hold any part of the address, in quotes or decoded; so does the traceback.
            raise InputError(f"the study's storage '{shown}' cannot be opened ({type(error).__name__})") from None
        raise InputError(f"the study's storage '{shown}' cannot be opened: {reason}") from error


def open_study(storage: BaseStorage, name: str, sampler: optuna.samplers.BaseSampler | None = None) -> Study:
    """The study of that name, made when it is not there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP)
    return optuna.create_study(
        storage=storage, study_name=name, direction="maximize", sampler=sampler, pruner=pruner, load_if_exists=True
    )


def enqueue(study: Study, params: dict[str, Any], what: str) -> None:
    """Have some parameters tried first, once, however often a search is started."""
    if not any(trial.user_attrs.get(GIVEN) == what for trial in study.get_trials(deepcopy=False)):
        study.enqueue_trial(params, user_attrs={GIVEN: what})


def best_trial(study: Study) -> FrozenTrial:
    """The best finished trial. Of equal ones the first, which is what was given where nothing was gained.

    Raises:
        InputError: no trial is finished yet.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        raise InputError("no trial is finished yet: give the search more time or trials")
    return max(done, key=lambda trial: (trial.value or 0.0, -trial.number))


def given_trial(study: Study, what: str) -> FrozenTrial | None:
    """The finished trial of what was given, not suggested."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return next((trial for trial in done if trial.user_attrs.get(GIVEN) == what), None)


def optimise(
    study: Study, folder: Path, space: PromptSpace, scorer: Scorer, *, trials: int, timeout: float | None, say: Say
) -> None:
    """Try prompts until the study has so many finished trials, whoever did them.

    Args:
        study: to continue.
        folder: of the search, where its workers see each other.
        space: of the prompts.
        scorer: rates them.
        trials: in all.
        timeout: seconds after which no new trial begins; None: no limit.
        say: called with each result.
    """

    def objective(trial: Trial, worker: str) -> float:
        trial.set_user_attr(WORKER, worker)
        params = {name: trial.suggest_categorical(name, one.choices) for name, one in space.distributions.items()}
        prompt = space.candidate(params).prompt()

        def give_up(metrics: dict[str, Any]) -> bool:
            trial.report(metrics["AP"] or 0.0, step=1)
            return GIVEN not in trial.user_attrs and trial.should_prune()

        started = time.perf_counter()
        metrics = scorer.score(prompt, give_up)
        by_group = dict(zip(_class_groups(space), metrics["per_class"].values(), strict=True))
        trial.set_user_attr(BY_GROUP, by_group | {SHARED: metrics["AP"]})
        trial.set_user_attr("caption", prompt.caption)
        trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
        if metrics.get("partial"):
            raise optuna.TrialPruned
        say(f"trial {trial.number + 1}: AP {metrics['AP'] or 0:.1f}  {prompt.caption}")
        return float(metrics["AP"] or 0.0)

    if len(study.get_trials(deepcopy=False, states=FINISHED)) < trials:
        with working(study, folder) as worker:
            study.optimize(
                whole(lambda trial: objective(trial, worker)),
                timeout=timeout,
                callbacks=[MaxTrialsCallback(trials, states=FINISHED)],
            )


def _class_groups(space: PromptSpace) -> list[str]:
    return [group for group in space.groups if group != SHARED]


def trial_rows(study: Study, **more: str) -> list[dict[str, Any]]:
    """The finished trials for ``search.json``; ``more``: further columns and the user attributes they show."""
    columns = {"caption": "caption", **more, "seconds": "seconds"}
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "given": trial.user_attrs.get(GIVEN),
            "AP": trial.value if trial.state == TrialState.COMPLETE else None,
        }
        | {column: trial.user_attrs.get(name) for column, name in columns.items()}
        for trial in study.get_trials(deepcopy=False, states=FINISHED)
    ]
