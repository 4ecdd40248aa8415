"""Run records: one folder a run; who may write it is decided in :mod:`odinw_bench.runs.claims`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.runs.archive import ARCHIVE, archived_record, archived_records, record_of
from odinw_bench.utils.io import read_json, write_json

__all__ = [
    "RECORD",
    "SCHEMA",
    "find_records",
    "is_done",
    "read_record",
    "write_lines",
    "write_record",
]

SCHEMA = 1
RECORD = "run.json"


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


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``."""
    write_json(folder / RECORD, dict(record))


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines), encoding="utf-8")
