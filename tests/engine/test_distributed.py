"""Several processes at work on one run: the numbers of one process with the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from odinw_bench.runs.record import find_records

pytestmark = pytest.mark.integration

RUN = ["-m", "odinw_bench", "run", "--model", "glip-nano-b", "--dataset", "packages", "--shots", "3", "--json"]
SHORT = ["--set", "epochs=2,repeats_per_epoch=2,min_steps_per_epoch=1,batch=4"]


def run(command, folder, **variables):
    done = subprocess.run(
        [*command, "--results", "results"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def together(folder, *arguments, processes=2):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return run([*launcher, *RUN, *SHORT, *arguments], folder)


def history(folder):
    ((place, record),) = find_records(folder / "results")
    return [json.loads(line) for line in (place / "history.jsonl").read_text().splitlines()], record


@pytest.mark.parametrize("mode", ["full", pytest.param("prompt", marks=pytest.mark.slow)])
def test_two_processes_give_the_curve_of_one(tmp_path, mode):
    """Sums in another order: float32 noise, which some steps of AdamW blow up to about 1e-4 of a loss."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    run([sys.executable, *RUN, *SHORT, "--mode", mode], tmp_path / "one")
    out = together(tmp_path / "two", "--mode", mode)
    assert len(json.loads(out)) == 1  # the leader alone prints
    alone, record = history(tmp_path / "one")
    shared, other = history(tmp_path / "two")
    assert [line["steps"] for line in shared] == [line["steps"] for line in alone]
    for mine, theirs in zip(alone, shared, strict=True):
        assert theirs["losses"] == pytest.approx(mine["losses"], rel=1e-3)
        assert theirs["validation_AP"] == pytest.approx(mine["validation_AP"], abs=0.5)
    assert other["metrics"]["AP"] == pytest.approx(record["metrics"]["AP"], abs=0.5)
    assert other["digest"] == record["digest"]
    assert (record["environment"]["processes"], other["environment"]["processes"]) == (1, 2)
    assert json.loads(together(tmp_path / "two", "--mode", mode))  # done before: nothing hangs


def test_it_is_for_torchrun_alone(tmp_path):
    done = subprocess.run([sys.executable, *RUN, "--engine", "torchrun"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "torchrun --nproc-per-node" in done.stderr
