"""The journal of a study, and what a killed worker leaves beside it."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import optuna
import pytest

from odinw_bench.search.study import open_storage


def in_seconds(work) -> bool:
    """Whether it ends soon."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=5)
    return not thread.is_alive()


def make_study(folder: Path) -> None:
    optuna.create_study(storage=open_storage(None, folder), study_name="s", load_if_exists=True)


def test_a_worker_killed_while_it_wrote_does_not_stop_the_next(tmp_path, monkeypatch):
    """Optuna's lock, a link, stayed behind; by a relative path, as of ``--results results``, for ever."""
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    results.mkdir()
    (results / "study.journal.lock").symlink_to(results / "study.journal")
    assert in_seconds(lambda: make_study(results))


@pytest.mark.parametrize("flock", [True, False])
def test_writers_wait_for_each_other(tmp_path, monkeypatch, flock):
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if not flock:
        monkeypatch.setattr(fcntl, "flock", refused)
    first, second = (open_storage(None, tmp_path)._backend._lock for _ in range(2))
    assert first.acquire()
    waiting = threading.Thread(target=second.acquire, daemon=True)
    waiting.start()
    waiting.join(timeout=0.1)
    assert waiting.is_alive()
    first.release()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    second.release()
    make_study(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["study.journal"]


@pytest.mark.parametrize("left", [b'{"op_code": 4, "wor', b"x" * 200_000])
def test_half_a_line_at_the_end_is_cut_off(tmp_path, left):
    """A full disk leaves one; the next record was appended to it, and no search could read the journal again."""
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")
    study.optimize(lambda trial: 1.0, n_trials=1)
    journal = tmp_path / "study.journal"
    before = journal.read_bytes()
    journal.write_bytes(before + left)
    study = optuna.load_study(storage=open_storage(None, tmp_path), study_name="s")
    study.optimize(lambda trial: 2.0, n_trials=1)
    assert journal.read_bytes().startswith(before + b"{")
    again = optuna.load_study(storage=open_storage(None, tmp_path), study_name="s")
    assert [trial.value for trial in again.get_trials()] == [1.0, 2.0]
