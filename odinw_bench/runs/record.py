"""Run records: one folder a run, written whole or not at all, safe to share between processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.runs.archive import ARCHIVE, archived_record, archived_records, record_of
from odinw_bench.utils.io import read_json, write_json
from odinw_bench.utils.locks import BusyError, exclusive

__all__ = [
    "RECORD",
    "SCHEMA",
    "BusyError",
    "claim",
    "find_records",
    "is_done",
    "is_full",
    "read_record",
    "resume_path",
    "tidy",
    "write_lines",
    "write_record",
    "writing",
]

SCHEMA = 1
RECORD = "run.json"

_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def read_record(folder: Path | str) -> dict[str, Any]:
    """The record of a folder (or the path of its ``run.json``): its own, or else that of an archive at or above it.

    Raises:
        InputError: there is none, it is not a record of this version, or the archive is damaged.
    """
    path = Path(folder)
    path = path if path.name == RECORD else path / RECORD
    if path.is_file():
        return _checked(read_json(path, what="run record"), path)
    record = archived_record(path.parent)
    if record is None:
        raise InputError(
            f"no run record at '{path}'; give the folder of a run: it holds a {RECORD}, or an {ARCHIVE} above it does"
        )
    return _checked(record, path)


def _checked(record: Any, path: Path) -> dict[str, Any]:
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else "none"
        raise InputError(f"'{path}' has schema {found}, this version reads {SCHEMA}")
    return record


def find_records(results: Path | str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All readable records below a folder, archived ones too, sorted by path; a folder's own record goes first.

    Unfinished and foreign files are passed over.

    Raises:
        InputError: an archive of records is damaged.
    """
    results = Path(results)
    archived = archived_records(results)
    own = {path.parent for path in results.glob(f"**/{RECORD}")}
    for folder in sorted({*archived, *own}):
        if any(part.startswith(".") for part in folder.relative_to(results).parts):
            continue
        try:
            record = read_record(folder) if folder in own else _checked(record_of(archived[folder]), folder)
        except InputError:
            continue
        yield folder, record


def is_done(folder: Path) -> bool:
    """Whether a folder holds a finished run."""
    try:
        return bool(read_record(folder).get("status") == "done")
    except InputError:
        return False


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Be the only one at work on a record while the block runs.

    Raises:
        BusyError: another living process is.
        InputError: the results folder cannot be written to.
    """
    with contextlib.ExitStack() as held:
        with _write_errors(folder.parent, *_REFUSED, *_FULL):
            folder.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(exclusive(_beside(folder, "lock")))
        yield


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A scratch folder that takes the place of ``folder`` when the block ends well; call it under :func:`claim`.

    A run that dies leaves the scratch folder behind, never half a record; the next run of the same cell clears it.

    Raises:
        InputError: the results folder cannot be written to.
    """
    scratch = _beside(folder, "part")
    with _write_errors(folder.parent, *_FULL):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            yield scratch
            _swap(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def resume_path(folder: Path) -> Path:
    """Where an unfinished run keeps what it needs to go on."""
    return _beside(folder, "resume")


def tidy(folder: Path) -> None:
    """Clear what a process left beside a finished record when it was killed between the record and its own tidying.

    Nothing is touched that a living process may be using.
    """
    kinds = ("lock", "part", "old", "resume", "resume.tmp")
    left = [path for path in (_beside(folder, kind) for kind in kinds) if path.exists()]
    if not left:
        return
    with contextlib.suppress(BusyError, InputError, OSError), claim(folder):
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path != _beside(folder, "lock"):
                path.unlink(missing_ok=True)


def _beside(folder: Path, kind: str) -> Path:
    """A hidden neighbour of a record's folder, which no search for records finds."""
    return folder.with_name(f".{folder.name}.{kind}")


def _swap(new: Path, old: Path) -> None:
    """Put a folder in the place of another; a crash in between leaves the old one under a hidden name at worst."""
    if not old.exists():
        new.rename(old)
        return
    away = _beside(old, "old")
    shutil.rmtree(away, ignore_errors=True)
    old.rename(away)
    new.rename(old)
    shutil.rmtree(away, ignore_errors=True)


@contextmanager
def _write_errors(results: Path, *remediable: int) -> Iterator[None]:
    """Turn what a user can remedy about the results folder into one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in remediable:
            raise InputError(f"cannot write to the results folder '{results}': {error.strerror}") from error
        if not isinstance(error, InputError) and is_full(error):
            raise InputError(f"cannot write to the results folder '{results}': {os.strerror(errno.ENOSPC)}") from error
        raise


def is_full(error: Exception) -> bool:
    """Whether an error says that there is no room to write: torch and safetensors have only words for it."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return os.strerror(errno.ENOSPC) in str(error)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``."""
    write_json(folder / RECORD, dict(record))


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines), encoding="utf-8")
