"""SIGKILL: in an epoch, at each change of a file, in a download, to one worker of several, to one of torchrun's."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import write_dataset
from tests.datasets.download import standin
from tests.datasets.download.test_download import ZIP, official
from tests.faults.moments import ends_well
from tests.faults.program import end, kill, leftovers, numbers, records, start, when

pytestmark = pytest.mark.integration

TUNED = ("run", "--dataset", "packages", "--mode", "prompt", "--shots", "1", "--results", "results")
SHORT = ("--set", "epochs=4,repeats_per_epoch=1,min_steps_per_epoch=1,eval_every=1", "--engine", "local")


def test_in_an_epoch(tmp_path, tried):
    """It resumes from the last epoch and ends with the numbers of a run that was left in peace."""
    peace, war = tmp_path / "peace", tmp_path / "war"
    peace.mkdir()
    war.mkdir()
    undisturbed = start(peace, *TUNED, *SHORT)
    for times in range(2):
        program = start(war, *TUNED, *SHORT)
        when(lambda times=times: _epochs(war) > times, program)
        kill(program)
        assert records(war / "results") == {}
    _, err = end(start(war, *TUNED, *SHORT))
    assert "epoch 1/" not in err
    end(undisturbed)
    assert numbers(records(war / "results")) == numbers(records(peace / "results"))
    assert leftovers(war / "results") == []
    tried("fault: a run killed in an epoch", 2)


def _epochs(folder):
    """Epochs that a killed run need not do again."""
    import torch

    for path in (folder / "results").rglob("*.resume"):
        try:
            return len(torch.load(path, weights_only=True)["state"]["tuned"]["history"])
        except (OSError, RuntimeError, EOFError):
            return 0
    return 0


def moments(*arguments):
    command = [sys.executable, "-m", "tests.faults.moments", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])["moments"]


def test_at_every_change_of_a_file_in_a_run(tmp_path, tried):
    dataset, results = write_dataset(tmp_path / "pets"), tmp_path / "results"
    number = moments("run", dataset, results)
    assert number >= 10
    (record,) = records(results).values()
    assert record["status"] == "done"
    assert leftovers(results) == []
    tried("fault: a run killed while it changes a file", number)


def test_at_every_change_of_a_file_in_a_report(tmp_path, tried):
    end(start(tmp_path, "run", "--dataset", "packages", "--mode", "zero-shot", "--quiet", "--results", "results"))
    number = moments("report", tmp_path / "results", tmp_path / "broken")
    assert number >= 50
    end(start(tmp_path, "report", "--results", "results", "--out", "whole", "--pictures", "0"))
    end(start(tmp_path, "report", "--results", "results", "--out", "broken", "--pictures", "0"))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert all(ends_well(whole / path) for path in files)
    assert files == {path.relative_to(broken) for path in broken.rglob("*") if path.is_file()}  # nothing is left over
    for path in files:
        assert (broken / path).read_bytes() == (whole / path).read_bytes(), path
    tried("fault: a report killed while it changes a file", number)


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (30, 300))])
def test_in_a_download(tmp_path, tried, seed):
    """At a random moment, from the connection to the unpacking; the same command ends with all of the data."""
    draw = random.Random(seed)
    pictures = {f"Raccoon/Raccoon.v2-raw.coco/train/{i}.bin": os.urandom(1 << 16) for i in range(200)}
    with standin.serving() as server:
        server.files[ZIP] = standin.packed(official() | pictures)
        variables = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path)}
        call = ("data", "download", "--dataset", "raccoon", "--data-root", "data")
        for _ in range(2):
            program = start(tmp_path, *call, **variables)
            when(lambda program=program: server.asked or program.poll() is not None)
            time.sleep(draw.uniform(0, 0.4))
            kill(program)
            server.asked.clear()
            if not (tmp_path / "data/.odinw-bench/Raccoon.json").exists():  # not finished, so not taken for it
                state = ("data", "list", "--suite", "odinw13", "--data-root", "data", "--json")
                out, _ = end(start(tmp_path, *state))
                if _has(out, "raccoon"):  # killed between moving the data into place and writing the manifest
                    assert all((tmp_path / "data" / name).is_file() for name in [*official(), *pictures])
        end(start(tmp_path, *call, **variables))
    root = tmp_path / "data"
    manifest = json.loads((root / ".odinw-bench/Raccoon.json").read_text())
    assert set(manifest["files"]) == set(official()) | set(pictures)
    assert (root / "Raccoon/Raccoon.v2-raw.coco/train/7.bin").stat().st_size == 1 << 16
    assert sorted(path.name for path in root.iterdir()) == [".odinw-bench", "Raccoon"]
    tried("fault: a download killed at a random moment", 2)


def _has(listed: str, name: str) -> bool:
    return any(entry["name"] == name and entry["present"] != "no" for entry in json.loads(listed))


def test_one_worker_of_two(tmp_path, tried):
    """Its cell is done once more by another; the grid ends as if nothing had been."""
    grid = ("run", "--dataset", "packages,pothole", "--mode", "prompt", "--shots", "1", "--results", "results")
    program = start(tmp_path, *grid, *SHORT[:2], "--workers", "2")
    lock = when(lambda: next((tmp_path / "results").rglob("*.lock"), None), program)
    os.kill(when(lambda: _owner(lock), program), signal.SIGKILL)
    _, err = end(program)
    assert "killed by signal 9" in err
    assert "once more" in err
    assert len(numbers(records(tmp_path / "results"))) == 2
    tried("fault: a worker killed")


def _owner(lock):
    try:
        return json.loads(lock.read_text())["pid"]
    except (OSError, ValueError):
        return None


@pytest.mark.slow
def test_one_process_of_a_team(tmp_path, tried):
    """torchrun ends the others; there is no record, and the same command does the run."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "odinw_bench", *TUNED[:-2], *SHORT[:2], "--results", "results"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    group = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes)
    lock = when(lambda: next((tmp_path / "results").rglob("*.lock"), None), group)
    os.kill(when(lambda: _owner(lock), group), signal.SIGKILL)
    group.communicate(timeout=120)
    assert group.returncode != 0
    assert records(tmp_path / "results") == {}
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert again.returncode == 0, again.stderr[-2000:]
    assert len(numbers(records(tmp_path / "results"))) == 1
    tried("fault: a process under torchrun killed")
