"""A grid that is killed again and again ends with the records of one that was left in peace."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .program import end, kill, leftovers, numbers, records, start, when

pytestmark = pytest.mark.integration

GRID = ["run", "--model", "glip-nano,dyhead-nano", "--dataset", "packages,pothole", "--mode", "zero-shot,linear,prompt"]
GRID += ["--shots", "0,1", "--seed", "3,30", "--quiet", "--results", "results"]
GRID += ["--set", "epochs=2,repeats_per_epoch=2,min_steps_per_epoch=1"]


def started(results: Path) -> dict[str, tuple]:
    """By what a record is of: its metrics, and when it was begun."""
    found = records(results)
    return {place: (metrics, found[place]["started"]) for place, metrics in numbers(found).items()}


def test_killed_at_random_moments(tmp_path, tried):
    draw = random.Random(3)
    peace, war = tmp_path / "peace", tmp_path / "war"
    peace.mkdir()
    war.mkdir()
    undisturbed = start(peace, *GRID, "--engine", "local")
    kept: dict[str, tuple] = {}
    for kills in range(3):
        grid = start(war, *GRID, "--workers", "2")
        enough = 4 * kills + 1
        when(lambda enough=enough: len(list((war / "results").glob("mini/*/*/*/run.json"))) >= enough, grid)
        time.sleep(draw.random())
        kill(grid)
        now = started(war / "results")
        assert all(now[place] == value for place, value in kept.items())  # what was done is not done again
        kept = now
    end(start(war, *GRID, "--workers", "2"))
    end(undisturbed)
    ended = started(war / "results")
    assert all(ended[place] == value for place, value in kept.items())
    assert {place: value[0] for place, value in ended.items()} == numbers(records(peace / "results"))
    assert len(ended) == 2 * (1 + 2 + 2) + 2 * 2
    assert leftovers(war / "results") == []
    tried("fault: a grid killed at a random moment", 3)


def test_asked_to_end(tmp_path, tried):
    """Its workers end with it, long before their cells are done."""
    cells = ("--dataset", "packages,rabbits", "--mode", "full", "--set", "epochs=500")
    grid = start(tmp_path, "run", *cells, "--workers", "2")
    when(lambda: len(list((tmp_path / "results").rglob("*history.jsonl"))) >= 2, grid)
    grid.terminate()
    out, err = grid.communicate(timeout=60)  # until nobody holds its output open
    assert grid.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in out + err, err[-3000:]
    when(lambda: not others_of(grid.pid))
    tried("fault: a grid asked to end", 1)


def others_of(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, its, state in rows if int(its) == group and not state.startswith("Z")]
