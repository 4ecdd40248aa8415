"""Records: whole or not at all, and one writer at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from glip_core import InputError
from odinw_bench.runs.claims import BusyError, claim
from odinw_bench.runs.record import find_records, is_done, read_record, write_record


def record(**changes):
    return {"schema": 1, "status": "done", "spec": {}} | changes


def test_a_record_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "suite" / "run"
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record())
        assert not folder.exists()
        assert list(find_records(tmp_path)) == []
    assert is_done(folder)
    assert [path for path, _ in find_records(tmp_path)] == [folder]
    assert {p.name for p in folder.parent.iterdir()} == {"run"}  # neither lock nor scratch is left


def test_an_error_leaves_the_old_record(tmp_path):
    folder = tmp_path / "run"
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record(number=1))

    def fail():
        with claim(folder) as claimed, claimed.writing() as scratch:
            write_record(scratch, record(number=2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_record(folder)["number"] == 1
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record(number=3))
    assert read_record(folder)["number"] == 3


def test_a_killed_writer_leaves_nothing_half(tmp_path):
    """SIGKILL in the middle: no record; the next writer takes the lock of the dead process."""
    code = f"""
        import time
        from pathlib import Path
        from odinw_bench.runs.claims import claim
        from odinw_bench.runs.record import write_record
        folder = Path({str(tmp_path / "run")!r})
        with claim(folder) as claimed, claimed.writing() as scratch:
            write_record(scratch, {{"schema": 1, "status": "done"}})
            print("ready", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(BusyError, match=f"process {child.pid} on"), claim(tmp_path / "run"):
            pass
        child.kill()
    assert list(find_records(tmp_path)) == []
    with claim(tmp_path / "run") as claimed, claimed.writing() as scratch:
        assert not list(scratch.iterdir())
        write_record(scratch, record())
    assert is_done(tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"run"}


def test_a_claim_leaves_nothing(tmp_path):
    with claim(tmp_path / "suite" / "run"):
        assert [p.name for p in (tmp_path / "suite").iterdir()] == [".run.lock"]
    assert not list((tmp_path / "suite").iterdir())


def test_what_is_no_record(tmp_path):
    with pytest.raises(InputError, match="no run record at"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="schema none"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(InputError, match="schema 99, this version reads 1"):
        read_record(tmp_path / "run.json")


def test_a_results_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to the results folder"), claim(tmp_path / "file" / "run"):
        pass


def test_errors_of_the_work_itself_are_not_taken_for_the_folders(tmp_path):
    with pytest.raises(FileExistsError), claim(tmp_path / "run") as claimed, claimed.writing():
        tmp_path.mkdir()
