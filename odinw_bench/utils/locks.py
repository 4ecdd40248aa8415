"""One process at a time: locks as files, so that processes and computers can share a folder.

Where the file system has ``flock``, the system itself knows whether the holder lives: a suspended process keeps its
lock, a killed one loses it at once, whatever process numbers and clocks say. Where it has none, the lock is a lease:
its holder renews it, and one that is not renewed for long is taken over. A suspended holder can then lose its lease
without knowing, so every lock names a random token, and its holder calls :meth:`Held.check` before each step that
cannot be taken back.

``fcntl.flock`` is used directly: the package filelock neither renews, nor names an owner that a holder can check, nor
removes its files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BEAT_SECONDS = 15.0
"""The holder renews its lock this often ..."""

LEASE_SECONDS = 120.0
"""... so without flock a lock that was not renewed for so long, and is not while it is watched, is taken over."""

_TRIES = 20
UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EBADF)
"""Errors of a file system that has no ``flock``."""

_open_handles: set[int] = set()


class BusyError(RuntimeError):
    """Another process holds the lock."""


class LockLostError(BusyError):
    """Another process took the lock over: what was being done under it must be given up."""


@dataclass(frozen=True)
class Held:
    """A lock that this process holds.

    Attributes:
        path: the file.
        token: random, new for each holder; scratch names that carry it are nobody else's.
    """

    path: Path
    token: str

    def check(self) -> None:
        """Make sure that the lock is still held; to be called before each rename and unlink under it.

        Raises:
            LockLostError: it is not.
        """
        try:
            owner = _owner(self.path)
        except OSError:
            owner = {}
        if owner.get("token") != self.token:
            raise LockLostError(
                f"the lock '{self.path}' was taken over while this process was suspended; "
                "its work is given up, run the command again"
            )


@contextmanager
def exclusive(lock: Path) -> Iterator[Held]:
    """Hold a lock file while the block runs.

    A lock whose holder is dead is taken over: at once where the file system has ``flock``, else when it was not
    renewed for :data:`LEASE_SECONDS`, which is confirmed by watching it for three times :data:`BEAT_SECONDS`.

    Args:
        lock: the file; its folder must exist.

    Yields:
        what identifies the holder.

    Raises:
        BusyError: another process holds it.
    """
    held, handle = _take(lock)
    _open_handles.add(handle)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(handle, stop), name=f"lock {lock.name}", daemon=True)
    heart.start()
    try:
        yield held
    finally:
        stop.set()
        heart.join()
        _remove(held.path, held.token)
        _open_handles.discard(handle)
        os.close(handle)


def _take(lock: Path) -> tuple[Held, int]:
    """Make the lock file, which is possible only where there is none; that of a dead process is removed first."""
    for _ in range(_TRIES):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            _remove_abandoned(lock)
            continue
        try:
            _flock(handle)
            if _is_at(handle, lock):  # not where another process came between and took it for a dead one's
                token = secrets.token_hex(8)
                owner = {"token": token, "pid": os.getpid(), "host": socket.gethostname()}
                os.write(handle, json.dumps(owner).encode())
                return Held(lock, token), handle
        except BlockingIOError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise BusyError(f"another process has just taken '{lock}'")


def _remove_abandoned(lock: Path) -> None:
    """Remove the lock of a dead process; return without doing anything where it has vanished meanwhile.

    Raises:
        BusyError: its holder may live.
    """
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        try:
            known = _flock(handle)
        except BlockingIOError:
            raise _busy(lock) from None
        if not known:
            token = _owner(lock).get("token", "unknown")
            if not _is_abandoned(lock):
                raise _busy(lock)
            if not _remove(lock, token):
                raise _busy(lock)
        elif _is_at(handle, lock):
            lock.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    finally:
        os.close(handle)


def _remove(lock: Path, token: str) -> bool:
    """Remove the lock of a holder, and no other's; whether this process did it.

    Without flock nothing makes looking and removing one step. So whoever wants to remove the lock of a token first
    makes a file with the token's name, which only one process can do, and looks again: while that file is there
    nobody else removes this lock, so nobody can have made another one after the look.
    """
    right = lock.with_name(f"{lock.name}.{token}.tmp")
    try:
        os.close(os.open(right, os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    try:
        if _owner(lock).get("token", "unknown") != token:
            return False
        lock.unlink()
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            right.unlink(missing_ok=True)


def _is_abandoned(lock: Path) -> bool:
    """Whether nobody renews a lock, by the file system's clock first and then by watching it.

    Times are compared only with others that the same file system stamped, and the verdict rests on the watching:
    the clock of another computer can be wrong without harm.
    """
    seen = lock.stat().st_mtime_ns
    with tempfile.TemporaryFile(dir=lock.parent) as probe:
        probe.write(b".")
        probe.flush()
        age = (os.fstat(probe.fileno()).st_mtime_ns - seen) / 1e9
    if age <= LEASE_SECONDS:
        return False
    ends = time.monotonic() + 3 * BEAT_SECONDS
    while True:
        time.sleep(BEAT_SECONDS / 4)
        over = time.monotonic() >= ends  # before the look: a watcher that was suspended itself looks once more
        if lock.stat().st_mtime_ns != seen:
            return False
        if over:
            return True


def _flock(handle: int) -> bool:
    """Take the system's lock on an open file; False where the file system has none.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True


def _is_at(handle: int, lock: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _owner(lock: Path) -> dict[str, str]:
    """What a lock says of its holder; empty where it is being written, or was left half-written."""
    try:
        content = json.loads(lock.read_text())
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}


def _busy(lock: Path) -> BusyError:
    try:
        owner = _owner(lock)
    except OSError:
        owner = {}
    who = f"process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= owner.keys() else "another process"
    return BusyError(f"{who} is at work there; if it is gone, delete '{lock}'")


def _beat(handle: int, stop: threading.Event) -> None:
    """Renew through the open file: a lock that another process made meanwhile under the same name is not touched."""
    while not stop.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(handle)


def _forget() -> None:
    """In a forked child: the system's lock dies with its holder only if no child keeps the file open."""
    for handle in _open_handles:
        with contextlib.suppress(OSError):
            os.close(handle)
    _open_handles.clear()


os.register_at_fork(after_in_child=_forget)
