"""What goes wrong in the work itself: losses that are no numbers, a clock that jumps, two grids in one folder."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import torch

from odinw_bench.engine.checkpoint import Resume
from odinw_bench.runs.claims import is_full
from tests.cli.conftest import write_dataset
from tests.faults.program import end, leftovers, numbers, records, start

pytestmark = pytest.mark.integration


def test_a_loss_that_is_no_number(tmp_path, tried):
    """That run stops and says why; the others go on; asked again with a sane rate it is another run."""
    grid = ("run", "--dataset", "packages", "--shots", "1", "--results", "results", "--mode", "zero-shot,full")
    _, err = end(start(tmp_path, *grid, "--set", "lr=1e30,epochs=2"), 1)
    assert "lower the learning rate" in err
    found = records(tmp_path / "results")
    assert sorted(record["status"] for record in found.values()) == ["done", "failed"]
    (failed,) = [record for record in found.values() if record["status"] == "failed"]
    assert "DivergedError: the loss became" in failed["error"]
    assert failed["metrics"] is None
    end(start(tmp_path, *grid, "--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1"))
    tried("fault: a loss that is no number")


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-86_400, 86_400, -1_700_000_000])
def test_a_clock_that_jumps(tmp_path, tried, jump):
    """By a day, or to its birth, in the middle of a run: same numbers, one record, nothing left behind."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import time
        true, began = time.time, time.monotonic()
        time.time = lambda: true() + ({jump} if time.monotonic() > began + 2 else 0)
        """)
    )
    grid = (
        "run",
        "--dataset",
        "packages,pothole",
        "--mode",
        "prompt",
        "--shots",
        "1",
        "--set",
        "epochs=2,repeats_per_epoch=1,min_steps_per_epoch=1",
    )
    program = start(tmp_path, *grid, "--results", "jumping", "--workers", "2", PYTHONPATH=str(tmp_path))
    still = start(tmp_path, *grid, "--results", "still", "--engine", "local")
    end(program)
    end(still)
    assert numbers(records(tmp_path / "jumping")) == numbers(records(tmp_path / "still"))
    assert leftovers(tmp_path / "jumping") == []
    tried("fault: a clock that jumps")


def test_two_grids_in_one_folder(tmp_path, tried):
    """Started at once: every cell is done by one of them, and both end with all numbers."""
    data = [write_dataset(tmp_path / f"pets{i}") for i in range(5)]
    grid = ("run", "--dataset", ",".join(map(str, data)), "--mode", "zero-shot,linear", "--shots", "1")
    grid += ("--set", "epochs=2,repeats_per_epoch=2,min_steps_per_epoch=1", "--results", "results", "--json")
    both = [start(tmp_path, *grid, "--engine", "local"), start(tmp_path, *grid, "--workers", "2")]
    reported = [json.loads(end(program)[0]) for program in both]
    found = records(tmp_path / "results")
    assert len(numbers(found)) == 10
    assert leftovers(tmp_path / "results") == []
    for results in reported:  # neither did a cell over that the other had done: start and end are those of the record
        assert len(results) == 10
        for result in results:
            whole = found[result["folder"].removeprefix("results/")]
            assert all(whole[name] == value for name, value in result["record"].items())
    tried("fault: two grids in one folder")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_state_that_does_not_fit(tmp_path):
    """torch itself speaks of iostreams when the disk is full."""
    resume = Resume(tmp_path / "state", "run")
    resume._temporary.symlink_to("/dev/full")
    with pytest.raises(OSError) as raised:
        resume.offer(lambda: {"weights": torch.zeros(1 << 16)})
    assert is_full(raised.value)
    assert resume.load() is None
