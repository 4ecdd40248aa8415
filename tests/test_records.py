"""Records: whole or not at all, and one writer at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from glip_core import InputError
from odinw_bench.records import BusyError, find_records, is_done, read_record, write_record, writing


def record(**changes):
    return {"schema": 1, "status": "done", "spec": {}} | changes


def test_a_record_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "suite" / "run"
    with writing(folder) as scratch:
        write_record(scratch, record())
        assert not folder.exists()
        assert list(find_records(tmp_path)) == []
    assert is_done(folder)
    assert [path for path, _ in find_records(tmp_path)] == [folder]
    assert {p.name for p in folder.parent.iterdir()} == {"run"}  # neither lock nor scratch is left


def test_an_error_leaves_the_old_record(tmp_path):
    folder = tmp_path / "run"
    with writing(folder) as scratch:
        write_record(scratch, record(number=1))

    def fail():
        with writing(folder) as scratch:
            write_record(scratch, record(number=2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_record(folder)["number"] == 1
    with writing(folder) as scratch:
        write_record(scratch, record(number=3))
    assert read_record(folder)["number"] == 3


def test_two_writers_at_once(tmp_path):
    def second():
        with writing(tmp_path / "run"):
            pass

    with writing(tmp_path / "run"), pytest.raises(BusyError, match="another process"):
        second()


def test_a_killed_writer_leaves_nothing_half(tmp_path):
    """SIGKILL in the middle: no record; the next writer takes the lock of the dead process."""
    code = f"""
        import sys, time
        from pathlib import Path
        from odinw_bench.records import writing, write_record
        with writing(Path({str(tmp_path / "run")!r})) as scratch:
            write_record(scratch, {{"schema": 1, "status": "done"}})
            print("ready", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(BusyError), writing(tmp_path / "run"):
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert list(find_records(tmp_path)) == []
    with writing(tmp_path / "run") as scratch:
        assert not list(scratch.iterdir())
        write_record(scratch, record())
    assert is_done(tmp_path / "run")


@pytest.mark.parametrize("age", [0, 3600])
def test_a_damaged_lock_is_taken_over_when_it_is_old(tmp_path, age):
    lock = tmp_path / ".run.lock"
    lock.write_text("{")
    os.utime(lock, (time.time() - age,) * 2)
    if age:
        with writing(tmp_path / "run"):
            pass
    else:
        with pytest.raises(BusyError), writing(tmp_path / "run"):
            pass


def test_a_lock_of_another_computer_is_believed_for_a_day(tmp_path):
    lock = tmp_path / ".run.lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "time": time.time()}))
    with pytest.raises(BusyError), writing(tmp_path / "run"):
        pass
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "time": time.time() - 2 * 86400}))
    with writing(tmp_path / "run"):
        pass


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
    with pytest.raises((InputError, NotADirectoryError, FileExistsError)), writing(tmp_path / "file" / "run"):
        pass
