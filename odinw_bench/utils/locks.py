"""One worker at a time: locks as files, so that processes and computers can share a results folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEAT_SECONDS = 20
"""The holder touches its lock this often ..."""

STALE_SECONDS = 300
"""... so a lock that was not touched for so long is nobody's, whatever its process number says."""


class BusyError(RuntimeError):
    """Another process holds the lock."""


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file while the block runs.

    The file is created exclusively and names process and host. It is taken over when its process is gone (same
    host), or when nobody has touched it for :data:`STALE_SECONDS`: process numbers are used again, in containers
    above all, and those of another host cannot be looked up.

    Args:
        lock: the file; its folder must exist.

    Raises:
        BusyError: a living process holds it.
    """
    _take(lock)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(lock, stop), name=f"lock {lock.name}", daemon=True)
    heart.start()
    try:
        yield
    finally:
        stop.set()
        heart.join()
        lock.unlink(missing_ok=True)


def _take(lock: Path) -> None:
    for _ in range(3):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            _bury(lock)
            continue
        with os.fdopen(handle, "w") as stream:
            stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        return
    raise BusyError(f"another process has just taken '{lock}'")


def _bury(lock: Path) -> None:
    """Remove the lock of a dead process; return without doing anything where it has vanished meanwhile.

    Judging and removing are one step, under a guard that the system takes back when its holder dies: of many who
    find a dead lock one removes it, and none removes the fresh lock that follows (its process lives; its inode may
    well be the dead one's).

    Raises:
        BusyError: its process lives.
    """
    with _guard(lock.parent):
        try:
            touched = lock.stat().st_mtime
            owner = _owner(lock)
        except FileNotFoundError:
            return
        if _alive(owner, touched=touched):
            who = "another process" if owner is None else f"process {owner[0]} on {owner[1]}"
            raise BusyError(f"{who} is at work there; if it is gone, delete '{lock}'")
        lock.unlink(missing_ok=True)


@contextmanager
def _guard(folder: Path) -> Iterator[None]:
    """The system's own lock on a folder; where the file system has none (some network shares) nothing is held."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _owner(lock: Path) -> tuple[int, str] | None:
    """(process, host); None where the file is being written this very moment, or was left half-written."""
    try:
        content = json.loads(lock.read_text())
        return int(content["pid"]), str(content["host"])
    except (ValueError, KeyError, TypeError):
        return None


def _alive(owner: tuple[int, str] | None, *, touched: float) -> bool:
    age = time.time() - touched
    if owner is None:
        return age < BEAT_SECONDS / 2
    if age > STALE_SECONDS:
        return False
    pid, host = owner
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(lock)
