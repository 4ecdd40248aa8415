"""What stops a trial is no outcome of it."""

from __future__ import annotations

import optuna
import pytest

from odinw_bench.runs.claims import BusyError
from odinw_bench.search import SearchSettings
from odinw_bench.search.study import open_storage
from odinw_bench.search.testing import run_once_free
from odinw_bench.search.workers import WORKER, clear_workers, whole, working


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_a_trial_that_was_stopped_waits_to_be_tried_again(tmp_path, error):
    """Optuna counted it as finished: a search ended by Ctrl-C had one trial fewer when it went on."""
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")

    def stopped(trial, worker):
        trial.set_user_attr(WORKER, worker)
        raise error

    with pytest.raises(error), working(study, tmp_path) as worker:
        study.optimize(whole(lambda trial: stopped(trial, worker)), n_trials=1)
    assert [trial.state.name for trial in study.get_trials()] == ["WAITING"]
    with working(study, tmp_path):
        study.optimize(whole(lambda trial: 1.0), n_trials=1)
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE"]


def test_an_outcome_stays_one(tmp_path):
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")

    def diverged(trial):
        raise ZeroDivisionError if trial.number else optuna.TrialPruned

    with working(study, tmp_path):
        study.optimize(whole(diverged, ZeroDivisionError), n_trials=2, catch=(ZeroDivisionError,))
    assert [trial.state.name for trial in study.get_trials()] == ["PRUNED", "FAIL"]


def test_what_killed_workers_left_is_cleared(tmp_path):
    for name in (".worker-0123456789abcdef.lock", ".recovery.lock", ".recovery.lock.0123456789abcdef.tmp"):
        (tmp_path / name).touch()
    clear_workers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_another_search_is_at_is_waited_for(tmp_path, monkeypatch):
    """Two searches that end together test the same prompts: the second ended with a traceback and no result."""
    asked, said = [], []

    def run(spec, results, **_):
        asked.append(spec)
        if len(asked) < 3:
            raise BusyError("another process is at it")
        return results

    monkeypatch.setattr("odinw_bench.search.testing.run", run)
    monkeypatch.setattr("odinw_bench.runs.claims.PATIENCE_SECONDS", 0.0)
    settings = SearchSettings("packages", results=tmp_path)
    assert run_once_free(settings.spec(), settings, said.append) == tmp_path
    assert len(asked) == 3
    assert said == ["waiting: another process is at it"]
