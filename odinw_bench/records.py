"""Run records: one folder a run, written whole or not at all, safe to share between processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.files import read_json, write_json

SCHEMA = 1
RECORD = "run.json"
_LOCK = ".lock"
_FOREIGN_LOCK_SECONDS = 24 * 3600  # a lock of another computer is believed this long


class BusyError(RuntimeError):
    """Another process is doing this very run."""


def read_record(folder: Path | str) -> dict[str, Any]:
    """The record in a folder (or the path of its ``run.json``).

    Raises:
        InputError: there is none, or it is not a record of this version.
    """
    path = Path(folder)
    path = path if path.name == RECORD else path / RECORD
    if not path.is_file():
        raise InputError(f"no run record at '{path}'; give the folder of a run, which holds a {RECORD}")
    record = read_json(path, what="run record")
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else "none"
        raise InputError(f"'{path}' has schema {found}, this version reads {SCHEMA}")
    return record


def find_records(results: Path | str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All readable records below a folder, sorted by path; unfinished and foreign files are passed over."""
    for path in sorted(Path(results).glob(f"**/{RECORD}")):
        if any(part.startswith(".") for part in path.relative_to(results).parts):
            continue
        try:
            yield path.parent, read_record(path)
        except InputError:
            continue


def is_done(folder: Path) -> bool:
    """Whether a folder holds a finished run."""
    try:
        return read_record(folder)["status"] == "done"
    except InputError:
        return False


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A scratch folder that takes the place of ``folder`` when the block ends well.

    A run that dies leaves the scratch folder behind, never half a record; the next run of the same cell clears it.

    Raises:
        BusyError: another living process writes this record.
        InputError: the results folder cannot be written to.
    """
    scratch = folder.with_name(f".{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
                _swap(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno in (28, 30):  # no space left, read-only
            raise InputError(f"cannot write to the results folder '{folder.parent}': {error.strerror}") from error
        raise


def _swap(new: Path, old: Path) -> None:
    """Put a folder in the place of another; a crash in between leaves the old one under a hidden name at worst."""
    if old.exists():
        away = old.with_name(f".{old.name}.old")
        shutil.rmtree(away, ignore_errors=True)
        old.rename(away)
        new.rename(old)
        shutil.rmtree(away, ignore_errors=True)
    else:
        new.rename(old)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = folder.with_name(f".{folder.name}{_LOCK}")
    mine = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()})
    for _ in range(2):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if _alive(lock):
                raise BusyError(f"another process is at work on '{folder}'") from None
            lock.unlink(missing_ok=True)
            continue
        with os.fdopen(handle, "w") as stream:
            stream.write(mine)
        break
    else:
        raise BusyError(f"another process is at work on '{folder}'")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _alive(lock: Path) -> bool:
    """Whether the process that holds a lock still runs."""
    try:
        owner = json.loads(lock.read_text())
        pid, host, since = int(owner["pid"]), owner["host"], float(owner["time"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        try:  # being written this very moment, or left half-written by a crash
            return time.time() - lock.stat().st_mtime < 10
        except FileNotFoundError:
            return False
    if host != socket.gethostname():
        return time.time() - since < _FOREIGN_LOCK_SECONDS
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``."""
    write_json(folder / RECORD, dict(record))


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines), encoding="utf-8")
