"""A grid that is killed again and again ends with the records of one that was left in peace."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from odinw_bench.records import find_records

GRID = ["run", "--model", "glip-nano,dyhead-nano", "--dataset", "packages,pothole", "--mode", "zero-shot,linear,prompt"]
GRID += ["--shots", "0,1", "--seed", "3,30", "--set", "epochs=2,copies=2", "--quiet"]


def start(folder, *more):
    command = [sys.executable, "-m", "odinw_bench", *GRID, *more, "--results", "results"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, text=True, **quiet)


def metrics(folder):
    """By what a record is of: its metrics and when it was started."""
    found = {}
    for place, record in find_records(folder / "results"):
        assert record["status"] == "done"
        key = str(place.relative_to(folder / "results"))
        assert key not in found
        found[key] = (record["metrics"], record["started"])
    return found


def test_killed_at_random_moments(tmp_path, tried):
    draw = random.Random(3)
    peace, war = tmp_path / "peace", tmp_path / "war"
    peace.mkdir()
    war.mkdir()
    undisturbed = start(peace, "--engine", "local")
    kept = {}
    for kill in range(3):
        grid = start(war, "--workers", "2")
        deadline = time.monotonic() + 120
        while len(list((war / "results").glob("mini/*/*/*/run.json"))) < 4 * kill + 1 and time.monotonic() < deadline:
            assert grid.poll() is None, grid.stderr.read()
            time.sleep(0.05)
        time.sleep(draw.random())
        os.killpg(grid.pid, signal.SIGKILL)
        grid.wait()
        now = metrics(war)
        assert all(now[key] == value for key, value in kept.items())  # what was done is not done again
        kept = now
    grid = start(war, "--workers", "2")
    assert grid.wait(timeout=300) == 0, grid.stderr.read()
    assert undisturbed.wait(timeout=300) == 0, undisturbed.stderr.read()
    ended, expected = metrics(war), metrics(peace)
    assert all(ended[key] == value for key, value in kept.items())
    assert {key: value[0] for key, value in ended.items()} == {key: value[0] for key, value in expected.items()}
    assert len(ended) == 2 * (1 + 2 + 2) + 2 * 2
    left = [path.name for path in (war / "results").rglob(".*") if path.name.endswith((".lock", ".part", ".tmp"))]
    assert left == []
    tried("fault: a grid killed at a random moment", 3)
