"""Locks as files: exclusive, beating, taken over from the dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from odinw_bench.utils import locks
from odinw_bench.utils.locks import BusyError, exclusive


def dead_pid() -> int:
    """The number of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    return child.pid


def plant(path, *, pid, host=None, age=0.0):
    """A lock of somebody else's."""
    path.write_text(json.dumps({"pid": pid, "host": host or socket.gethostname()}))
    os.utime(path, (time.time() - age,) * 2)


def can_take(path) -> bool:
    try:
        with exclusive(path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
    except BusyError:
        return False
    assert not path.exists()
    return True


def test_two_at_once(tmp_path):
    lock = tmp_path / "lock"
    with exclusive(lock):
        assert not can_take(lock)
    assert can_take(lock)


def test_the_message_says_who_and_what_to_do(tmp_path):
    lock = tmp_path / "lock"
    with exclusive(lock), pytest.raises(BusyError, match=f"process {os.getpid()} on .*delete '{lock}'"):
        exclusive(lock).__enter__()


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path):
    lock = tmp_path / "lock"
    plant(lock, pid=dead_pid())
    assert can_take(lock)


def test_a_lock_that_nobody_touches_is_taken_over_though_a_process_has_its_number(tmp_path):
    lock = tmp_path / "lock"
    plant(lock, pid=os.getppid(), age=locks.STALE_SECONDS - 60)
    assert not can_take(lock)
    plant(lock, pid=os.getppid(), age=locks.STALE_SECONDS + 60)
    assert can_take(lock)


def test_a_lock_of_another_computer_is_believed_while_it_is_touched(tmp_path):
    lock = tmp_path / "lock"
    plant(lock, pid=dead_pid(), host="elsewhere", age=locks.STALE_SECONDS - 60)
    assert not can_take(lock)
    plant(lock, pid=dead_pid(), host="elsewhere", age=locks.STALE_SECONDS + 60)
    assert can_take(lock)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "host": "y"}'])
def test_a_damaged_lock_is_taken_over_when_it_is_old(tmp_path, content):
    lock = tmp_path / "lock"
    lock.write_text(content)
    assert not can_take(lock)
    os.utime(lock, (time.time() - 3600,) * 2)
    assert can_take(lock)


def test_the_holder_touches_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    lock = tmp_path / "lock"
    with exclusive(lock):
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 10
        while lock.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > time.time() - 60


def test_of_many_who_find_a_dead_lock_one_gets_it(tmp_path):
    lock = tmp_path / "lock"
    plant(lock, pid=dead_pid())
    start, inside, most = threading.Barrier(8), [], []

    def contend():
        start.wait()
        try:
            with exclusive(lock):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.2)
                inside.pop()
        except BusyError:
            pass

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert not list(tmp_path.iterdir())
