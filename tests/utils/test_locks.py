"""Locks as files: exclusive, taken over from the dead, noticed when lost; with flock and without."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from odinw_bench.utils import locks
from odinw_bench.utils.locks import BusyError, LockLostError, exclusive


@pytest.fixture(params=["flock", "no flock"])
def system(request, monkeypatch):
    """A file system with locks of its own, and one without; leases are short."""
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(locks, "LEASE_SECONDS", 0.3)
    if request.param == "no flock":
        no_flock(monkeypatch)
    return request.param


def no_flock(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def plant(path, *, pid=1, host=None, age=0.0):
    """A lock of somebody else's."""
    path.write_text(json.dumps({"pid": pid, "host": host or socket.gethostname(), "token": "theirs"}))
    os.utime(path, (time.time() - age,) * 2)


def can_take(path) -> bool:
    try:
        with exclusive(path) as held:
            assert json.loads(path.read_text())["token"] == held.token
            held.check()
    except BusyError:
        return False
    assert not path.exists()
    return True


def test_two_at_once(tmp_path, system):
    lock = tmp_path / "lock"
    with exclusive(lock):
        assert not can_take(lock)
    assert can_take(lock)
    assert not list(tmp_path.iterdir())


def test_the_message_says_who_and_what_to_do(tmp_path, system):
    lock = tmp_path / "lock"
    with exclusive(lock), pytest.raises(BusyError, match=f"process {os.getpid()} on .*delete '{lock}'"):
        exclusive(lock).__enter__()


def test_a_lock_of_a_dead_process_is_taken_over_at_once(tmp_path):
    """Whatever it says: the process number may be used again, the host name may be that of many containers."""
    plant(tmp_path / "lock", pid=os.getppid())
    assert can_take(tmp_path / "lock")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "host": "y"}'])
def test_a_damaged_lock_is_taken_over(tmp_path, system, content):
    lock = tmp_path / "lock"
    lock.write_text(content)
    os.utime(lock, (time.time() - 3600,) * 2)
    assert can_take(lock)


def test_without_flock_a_lock_is_believed_until_its_lease_ends(tmp_path, monkeypatch):
    no_flock(monkeypatch)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    plant(tmp_path / "lock", age=locks.LEASE_SECONDS - 60)
    assert not can_take(tmp_path / "lock")
    plant(tmp_path / "lock", age=locks.LEASE_SECONDS + 60)
    assert can_take(tmp_path / "lock")


def test_a_holder_whose_clock_is_wrong_keeps_its_lock(tmp_path, system):
    """Its stamps are an hour old at once: what counts is that they change."""
    lock = tmp_path / "lock"
    with exclusive(lock) as held:
        stop = threading.Event()

        def stamp():
            beat = 0
            while not stop.wait(0.01):
                beat += 1
                os.utime(lock, (time.time() - 3600 + beat,) * 2)

        clock = threading.Thread(target=stamp)
        clock.start()
        assert not can_take(lock)
        stop.set()
        clock.join()
        held.check()


def test_the_holder_renews_its_lock(tmp_path, system):
    lock = tmp_path / "lock"
    with exclusive(lock):
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 10
        while lock.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > time.time() - 60


def test_who_lost_its_lock_notices_and_leaves_the_new_one_alone(tmp_path, system):
    lock = tmp_path / "lock"
    with exclusive(lock) as held:
        lock.unlink()
        plant(lock)
        with pytest.raises(LockLostError, match=r"taken over .* run the command again"):
            held.check()
    assert json.loads(lock.read_text())["token"] == "theirs"
    lock.unlink()
    with pytest.raises(LockLostError):
        held.check()


def test_of_many_who_find_a_dead_lock_one_gets_it(tmp_path, system):
    lock = tmp_path / "lock"
    for _ in range(5):
        plant(lock, age=3600)
        start, inside, most = threading.Barrier(8), [], []

        def contend(start=start, inside=inside, most=most):
            start.wait()
            try:
                with exclusive(lock):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.1)
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


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path):
    code = f"""
import os, time
from pathlib import Path
from odinw_bench.utils.locks import exclusive
with exclusive(Path({str(tmp_path / "lock")!r})):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert not can_take(tmp_path / "lock")
        parent.kill()
        parent.wait()
        try:
            deadline = time.monotonic() + 20  # the child may not have run since it was made
            while not can_take(tmp_path / "lock"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            os.kill(child, 9)
