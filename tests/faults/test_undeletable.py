"""Scratch folders that cannot be removed: the run ends with its record whole and one warning, the next ones go on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from odinw_bench import RunSpec, run
from odinw_bench.datasets.download import fetch
from odinw_bench.runs.claims import claim
from odinw_bench.runs.record import is_done, read_record
from odinw_bench.utils import folders

SPEC = RunSpec(dataset="packages", mode="zero-shot")


@pytest.fixture
def immutable(tmp_path):
    """Makes files immutable, even for root, until the test ends."""
    chattr = shutil.which("chattr")
    probe = tmp_path / "probe"
    probe.touch()
    tried = chattr and subprocess.run([chattr, "+i", probe], capture_output=True, text=True)
    if not tried or tried.returncode:
        pytest.skip(f"needs chattr and the right to use it{f': {tried.stderr.strip()}' if tried else ''}")
    made = [probe]

    def make(path: Path) -> None:
        subprocess.run([chattr, "+i", path], check=True)
        made.append(path)

    yield make
    for path in tmp_path.rglob("*"):
        subprocess.run([chattr, "-i", path], capture_output=True, check=False)


def stuck(monkeypatch, code):
    """No folder can be removed from now on."""

    def refused(path, *_, **__):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(folders.os, "rmdir", refused)


def warnings(caplog):
    return [one.getMessage() for one in caplog.records if "cannot be removed" in one.getMessage()]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.ENOTEMPTY, errno.EBUSY])
def test_a_run_whose_old_folder_cannot_be_removed(tmp_path, monkeypatch, caplog, tried, code):
    first = run(SPEC, tmp_path)
    with monkeypatch.context() as patched:
        stuck(patched, code)
        again = run(SPEC, tmp_path, force=True)
    (said,) = warnings(caplog)
    assert "\n" not in said and os.strerror(code) in said
    assert again["metrics"] == first["metrics"]
    assert again["started"] > first["started"] or again["finished"] >= first["finished"]
    assert is_done(again.folder)
    assert [path.name for path in again.folder.parent.iterdir() if path.suffix == ".part"]
    run(SPEC, tmp_path, force=True)  # the next one clears it
    assert [path.name for path in again.folder.parent.iterdir()] == [again.folder.name]
    tried("fault: a scratch folder that cannot be removed")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EBUSY])
def test_what_can_be_neither_moved_nor_removed_blocks_nobody(tmp_path, monkeypatch, caplog, tried, code):
    left = tmp_path / ".record.0123456789abcdef.part"
    left.mkdir()
    plain = Path.rename

    def refused(path, target):
        if path == left:
            raise OSError(code, os.strerror(code), str(path))
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    stuck(monkeypatch, code)
    with claim(tmp_path / "record") as claimed, claimed.writing() as scratch:
        (scratch / "of").write_text("mine")
    assert (tmp_path / "record" / "of").read_text() == "mine"
    assert len(warnings(caplog)) == 1
    tried("fault: a scratch folder that cannot be removed")


def test_immutable_files(tmp_path, cli, immutable, tried):
    """Really, as root: one in the record that is replaced, and a whole folder that a dead process left."""
    words = ("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path / "results", "--quiet")
    assert cli(*words).code == 0
    (place,) = (tmp_path / "results").rglob("run.json")
    folder = place.parent
    before = read_record(folder)
    left = folder.with_name(f".{folder.name}.0123456789abcdef.part")
    left.mkdir()
    immutable(left)
    immutable(folder / "predictions.json")
    answer = cli(*words, "--force")
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err
    assert is_done(folder)
    assert read_record(folder)["metrics"] == before["metrics"]
    assert cli(*words).code == 0
    tried("fault: a scratch folder that cannot be removed", 2)


def test_a_record_that_cannot_be_replaced_stays_and_one_line_says_so(tmp_path, cli, immutable, tried):
    words = ("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path / "results", "--quiet")
    assert cli(*words).code == 0
    (place,) = (tmp_path / "results").rglob("run.json")
    before = place.read_bytes()
    immutable(place.parent)
    answer = cli(*words, "--force")
    assert answer.code != 0
    assert "cannot write to the results folder" in answer.out + answer.err
    assert "Traceback" not in answer.out + answer.err
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.parent.iterdir()] == [place.parent.name]
    tried("fault: a scratch folder that cannot be removed")


def test_a_download_takes_another_folder(tmp_path, monkeypatch, caplog):
    left = tmp_path / "unpacking-pets"
    left.mkdir()
    stuck(monkeypatch, errno.EPERM)
    other = fetch._fresh(left)
    assert other != left and other.parent == tmp_path and not other.exists()
    assert len(warnings(caplog)) == 1
    monkeypatch.undo()
    assert fetch._fresh(left) == left and not left.exists()
