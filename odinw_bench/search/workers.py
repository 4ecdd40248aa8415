"""The workers of a study: a trial whose worker died is tried again under its own number.

Samplers draw by a trial's number and by what is finished, so a search that was killed and resumed makes the same
trials as one that was left in peace.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.exceptions import TrialPruned
from optuna.storages import JournalStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from odinw_bench.utils.locks import BusyError, exclusive
from odinw_bench.utils.scratch import clear_scratch


class _StoppedError(BaseException):
    """Carries what stopped a trial past Optuna, which would count the trial as finished."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


WORKER = "worker"
"""User attribute of a trial: the token of the worker that is at it; set first of all."""


@contextmanager
def working(study: Study, folder: Path) -> Iterator[str]:
    """Be a worker of a study while the block runs; trials of dead workers wait to be tried again.

    A living worker holds a lock ``.worker-TOKEN.lock`` in the folder. What workers of other folders do, which share
    a database with this one, cannot be seen from here and is left alone.

    Args:
        study: the study.
        folder: of the search.

    Yields:
        the worker's token.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(BusyError), exclusive(folder / ".recovery.lock"):
        _retry_those_of_the_dead(study, folder)
    token = secrets.token_hex(8)
    with exclusive(folder / f".worker-{token}.lock"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The reported value is ignored")  # a trial that is tried again
        try:
            yield token
        except _StoppedError as stopped:
            raise stopped.reason from None
        finally:
            for trial in _running(study):  # of an interrupted worker: any other has ended its trial
                if trial.user_attrs.get(WORKER) == token:
                    _retry(study, trial)


def whole(objective: Callable[[Trial], float], *ends: type[Exception]) -> Callable[[Trial], float]:
    """An objective whose trial is tried again if it was stopped: by Ctrl-C, a full disk or any other error.

    Args:
        objective: to be called within :func:`working`.
        ends: errors that are an outcome of a trial, beside ``TrialPruned``.
    """
    outcomes: tuple[type[Exception], ...] = (TrialPruned, *ends)

    def call(trial: Trial) -> float:
        try:
            return objective(trial)
        except outcomes:
            raise
        except BaseException as error:
            raise _StoppedError(error) from error

    return call


def clear_workers(folder: Path) -> None:
    """Remove what workers left that were killed after the last trial; living ones are not touched."""
    for lock in [*folder.glob(".worker-*.lock"), *folder.glob(".recovery.lock")]:
        with suppress(BusyError, OSError), exclusive(lock):
            pass
    clear_scratch(folder)


def _retry_those_of_the_dead(study: Study, folder: Path) -> None:
    dead, living = set(), False
    for lock in folder.glob(".worker-*.lock"):
        try:
            with exclusive(lock):
                dead.add(lock.name.removeprefix(".worker-").removesuffix(".lock"))
        except BusyError:
            living = True
    # A worker may have died before it could say whose the trial is. A journal lies in this folder, as do its workers.
    ours = isinstance(study._storage, JournalStorage) and not living
    for trial in _running(study):
        if ours or trial.user_attrs.get(WORKER) in dead:
            _retry(study, trial)


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _retry(study: Study, trial: FrozenTrial) -> None:
    study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
