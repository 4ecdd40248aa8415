"""What an unfinished run keeps: whole or not at all, and only for the same run."""

from __future__ import annotations

import pickle
import random
import time

import pytest
import torch

from odinw_bench.engine.checkpoint import Resume
from odinw_bench.utils.locks import LockLostError, exclusive

STATE = {"step": 3, "tensor": torch.arange(3), "draw": (3, (1, 2, 3), None), "ids": [1, "a"]}


def test_there_and_back(tmp_path):
    Resume(tmp_path / "runs" / "state", "run").offer(lambda: STATE)
    state = Resume(tmp_path / "runs" / "state", "run").load()
    assert state["tensor"].equal(STATE["tensor"])
    assert {k: v for k, v in state.items() if k != "tensor"} == {k: v for k, v in STATE.items() if k != "tensor"}


def test_a_state_of_another_run_is_not_taken_up(tmp_path):
    Resume(tmp_path / "state", "run").offer(lambda: STATE)
    assert Resume(tmp_path / "state", "another").load() is None


def test_nothing_damaged_or_foreign_is_taken_up(tmp_path):
    path = tmp_path / "state"
    assert Resume(path, "run").load() is None
    Resume(path, "run").offer(lambda: STATE)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"nonsense", pickle.dumps({"identity": "run", "state": {}})):
        path.write_bytes(content)
        assert Resume(path, "run").load() is None
    torch.save([1, 2], path)
    assert Resume(path, "run").load() is None
    torch.save({"identity": "run", "state": time.sleep}, path)  # code in a pickle is not run
    assert Resume(path, "run").load() is None


def test_costly_states_are_saved_rarely(tmp_path):
    calls = []

    def slow():
        calls.append(1)
        time.sleep(0.05)
        return {}

    resume = Resume(tmp_path / "state", "run", overhead=0.05)
    for _ in range(5):
        resume.offer(slow)
    assert len(calls) == 1
    always = Resume(tmp_path / "state", "run", overhead=1.0)
    for _ in range(3):
        always.offer(slow)
    assert len(calls) == 4


def test_clearing_leaves_nothing(tmp_path):
    resume = Resume(tmp_path / "state", "run")
    resume.offer(lambda: STATE)
    (tmp_path / "state.tmp").write_text("left by a killed process")
    resume.clear()
    assert not list(tmp_path.iterdir())
    resume.clear()


def test_without_a_path_nothing_is_kept(tmp_path):
    resume = Resume()
    resume.offer(lambda: STATE)
    assert resume.load() is None
    resume.clear()


def test_a_damaged_state_counts_as_absent_and_is_noted(tmp_path, caplog):
    """One bit, anywhere: never other values, never another error."""
    path = tmp_path / "state"
    Resume(path, "run").offer(lambda: STATE)
    whole = path.read_bytes()
    draw = random.Random(3)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        assert Resume(path, "run").load() is None
    assert f"'{path}' is damaged: the run starts over" in caplog.text
    path.write_bytes(whole)
    assert Resume(path, "run").load() is not None


def test_a_state_is_not_kept_by_a_process_that_lost_its_lock(tmp_path):
    with exclusive(tmp_path / "lock") as held:
        resume = Resume(tmp_path / "state", "run", held=held, overhead=1.0)
        resume.offer(lambda: STATE)
        kept = (tmp_path / "state").read_bytes()
        (tmp_path / "lock").unlink()
        with pytest.raises(LockLostError):
            resume.offer(lambda: STATE | {"number": 5})
        with pytest.raises(LockLostError):
            resume.clear()
    assert (tmp_path / "state").read_bytes() == kept
