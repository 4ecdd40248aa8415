"""A full disk, a closed one, data that vanish: one line that says so, and the same command resumes afterwards."""

from __future__ import annotations

import json
import shutil

import pytest

from odinw_bench.report.load import load_runs
from tests.cli.conftest import write_dataset
from tests.datasets.download import standin
from tests.datasets.download.test_download import ZIP, official
from tests.faults.program import end, leftovers, numbers, records, refused, start, when

pytestmark = pytest.mark.integration

PLAIN = ("run", "--dataset", "packages", "--mode", "manual", "--quiet")
TUNED = (
    "run",
    "--dataset",
    "packages",
    "--mode",
    "linear",
    "--shots",
    "1",
    "--set",
    "epochs=2,repeats_per_epoch=1,min_steps_per_epoch=1",
    "--quiet",
)


SLOW = [pytest.mark.slow]


@pytest.mark.parametrize(
    ("command", "size"),
    [
        pytest.param(PLAIN, "4k", marks=SLOW, id="manual-4k"),
        pytest.param(PLAIN, "40k", id="manual-40k"),
        pytest.param(TUNED, "16k", id="linear-16k"),
        pytest.param(TUNED, "80k", marks=SLOW, id="linear-80k"),
    ],
)
def test_a_full_disk(tmp_path, tried, disk, command, size):
    """At sizes at which different things no longer fit: the lock, the state, the predictions."""
    disk.has(size)
    line = refused(start(tmp_path, *command, "--results", "disk"))
    assert "cannot write to the results folder" in line
    assert "No space left" in line
    assert all(record["status"] == "failed" for record in records(disk.folder).values())
    disk.has("32m")
    end(start(tmp_path, *command, "--results", "disk"))
    assert len(numbers(records(disk.folder))) == 1
    assert leftovers(disk.folder) == []
    tried("fault: a full disk")


@pytest.mark.slow
def test_a_full_disk_in_the_middle_of_a_grid(tmp_path, tried, disk):
    """What was finished stays; the rest is done when there is room again."""
    grid = (
        "run",
        "--dataset",
        "packages,pothole,raccoon",
        "--mode",
        "zero-shot",
        "--results",
        "disk",
        "--workers",
        "2",
    )
    program = start(tmp_path, *grid)
    when(lambda: records(disk.folder), program)
    (disk.folder / "ballast").write_bytes(b"")
    _fill(disk.folder / "ballast")
    end(program, 0, 2)
    before = {place: record for place, record in records(disk.folder).items() if record["status"] == "done"}
    assert before
    (disk.folder / "ballast").unlink()
    end(start(tmp_path, *grid))
    after = records(disk.folder)
    assert len(numbers(after)) == 3
    assert all(after[place] == record for place, record in before.items())
    tried("fault: a full disk")


def _fill(path):
    with path.open("ab", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(1 << 16))
        except OSError:
            return


@pytest.fixture
def finished(tmp_path):
    """A results folder with one record."""
    end(start(tmp_path, *PLAIN, "--results", "results"))
    return tmp_path


@pytest.mark.slow
def test_other_commands_on_a_full_disk(finished, tried, disk):
    disk.has("8k")
    data = write_dataset(finished / "pets")
    (finished / "p.json").write_text(json.dumps([]))
    ordinary = finished / "results"
    commands = [
        ("report", "--results", ordinary, "--out", "disk/report"),
        ("search", "--dataset", "packages", "--shots", "1", "--trials", "2", "--results", "disk", "--no-control"),
        ("score", "--dataset", data, "--predictions", "p.json", "--model-name", "m", "--results", "disk"),
        ("predict", data / "test/0.jpg", "--prompt", "cat", "--out", "disk/out"),
        ("export", "coco", ordinary, "--out", "disk/coco"),
        ("data", "render", "--dataset", "packages", "--out", "disk/render"),
        ("profile", "--model", "glip-nano", "--photo", "64x64", "--repeats", "1", "--out", "disk/profile"),
    ]
    for command in commands:
        _fill(disk.folder / "ballast")
        line = refused(start(finished, *command))
        assert "No space left" in line, (command, line)
        (disk.folder / "ballast").unlink()
        tried("fault: a full disk")


def test_a_full_disk_under_the_cache_changes_nothing(tmp_path, tried, disk):
    disk.has("64k")
    cached = (*TUNED, "--cache-disk-gb", "1", "--cache-dir", "disk", "--cache-gb", "0")
    end(start(tmp_path, *cached, "--results", "a"))
    end(start(tmp_path, *TUNED, "--results", "b"))
    assert numbers(records(tmp_path / "a")) == numbers(records(tmp_path / "b"))
    tried("fault: a full disk")


def test_a_full_disk_under_a_download(tmp_path, tried, disk):
    disk.has("40k")
    with standin.serving() as server:
        server.files[ZIP] = standin.packed(official() | {"Raccoon/noise": bytes(range(256)) * 1000})
        variables = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path)}
        call = ("data", "download", "--dataset", "raccoon", "--data-root", "disk")
        line = refused(start(tmp_path, *call, **variables))
        assert "24,576 free" in line or "No space left" in line
        assert not (disk.folder / "Raccoon").exists()
        disk.has("32m")
        end(start(tmp_path, *call, **variables))
    assert (disk.folder / "Raccoon/noise").stat().st_size == 256_000
    tried("fault: a full disk")


@pytest.mark.slow
def test_a_closed_disk(finished, tried, disk):
    """Nothing can be written, what is there can be read."""
    shutil.copytree(finished / "results", disk.folder / "results")
    disk.closed()
    other = ("run", "--dataset", "pothole", "--mode", "zero-shot", "--quiet")
    commands = [
        (*other, "--results", "disk/results"),
        ("report", "--results", "results", "--out", "disk/report"),
        ("search", "--dataset", "packages", "--shots", "1", "--trials", "2", "--results", "disk/results"),
        ("export", "coco", "results", "--out", "disk/coco"),
    ]
    for command in commands:
        line = refused(start(finished, *command))
        assert "Read-only file system" in line, (command, line)
        tried("fault: a read-only folder")
    out, _ = end(start(finished, *PLAIN, "--results", "disk/results"))  # done before: nothing need be written
    assert "1 of 1 were done before" in out or "packages" in out
    end(start(finished, "report", "--results", "disk/results", "--out", "report", "--pictures", "0"))
    tried("fault: a read-only folder", 2)


def test_data_that_vanish(tmp_path, tried):
    """The cells of the others go on; the missing one is done when its data are back."""
    first, second = write_dataset(tmp_path / "first"), write_dataset(tmp_path / "second")
    grid = ("run", "--dataset", f"{first},{second}", "--mode", "zero-shot", "--results", "results")
    (second / "test/1.jpg").rename(second / "test/gone")
    _, err = end(start(tmp_path, *grid), 2)
    assert "test/1.jpg" in err
    assert sorted(record["status"] for record in records(tmp_path / "results").values()) == ["done", "failed"]
    (second / "test/gone").rename(second / "test/1.jpg")
    end(start(tmp_path, *grid))
    statuses = sorted(record["status"] for record in records(tmp_path / "results").values())
    assert statuses == ["done", "done", "failed"]  # without its picture it is another data set, so another run
    assert len(load_runs(tmp_path / "results").failed) == 0
    tried("fault: data that vanish")


def test_data_that_vanish_in_the_middle_of_tuning(tmp_path, tried):
    data = write_dataset(tmp_path / "pets", images=4)
    grid = ("run", "--dataset", data, "--mode", "full", "--shots", "1")
    grid += ("--set", "epochs=30,stop_patience=30,min_steps_per_epoch=0")
    program = start(tmp_path, *grid, "--results", "results")
    when(lambda: list((tmp_path / "results").rglob("*.resume")), program)
    data.rename(tmp_path / "away")
    _, err = end(program, 2)
    assert "pets" in err
    (tmp_path / "away").rename(data)
    end(start(tmp_path, *grid, "--results", "results"))
    assert len(numbers(records(tmp_path / "results"))) == 1
    tried("fault: data that vanish")
