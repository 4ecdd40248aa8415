"""Run records: one folder a run; who may write it is decided in :mod:`odinw_bench.runs.claims`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.runs.archive import ARCHIVE, archived_record, archived_records, record_of
from odinw_bench.runs.schema import SCHEMA, SEAL, TUNED, RecordedSpec, RunRecord, seal_of
from odinw_bench.runs.seal import RECORD, find_damage, list_files
from odinw_bench.utils.folders import find_folders
from odinw_bench.utils.io import json_bytes, read_json, write_json

__all__ = [
    "RECORD",
    "SCHEMA",
    "TUNED",
    "RecordedSpec",
    "RunRecord",
    "Unreadable",
    "find_records",
    "has_numbers",
    "is_done",
    "read_record",
    "write_lines",
    "write_record",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unreadable:
    """A file that should be a record and cannot be read as one.

    Attributes:
        folder: where it lies.
        reason: one line.
    """

    folder: Path
    reason: str


def read_record(folder: Path | str) -> RunRecord:
    """The record of a folder (or the path of its ``run.json``): its own, or else that of an archive at or above it.

    Raises:
        InputError: there is none, it is damaged or of a later version, or the archive is damaged.
    """
    path = Path(folder)
    path = path if path.name == RECORD else path / RECORD
    content = read_json(path, what="run record") if path.is_file() else archived_record(path.parent)
    if content is None:
        raise InputError(
            f"no run record at '{path}'; give the folder of a run: it holds a {RECORD}, or a {ARCHIVE} above it does"
        )
    return _checked(content, path)


def _checked(content: Any, path: Path) -> RunRecord:
    try:
        return RunRecord.from_json(content, path.parent)
    except InputError as error:
        raise InputError(f"'{path}' is not a complete run record: {error}") from error


def find_records(results: Path | str, unreadable: list[Unreadable] | None = None) -> Iterator[tuple[Path, RunRecord]]:
    """All readable records below a folder, archived ones too, sorted by path; a folder's own record goes first.

    Args:
        results: the folder.
        unreadable: a list that the others are added to, with the reason.

    Yields:
        the folder of a record, and the record.

    Raises:
        InputError: an archive of records is damaged.
    """
    results = Path(results)
    archived = archived_records(results)
    own = set(find_folders(results, RECORD))
    shown = {folder for folder in archived if not _is_hidden(folder.relative_to(results))}
    for folder in sorted(shown | own, key=lambda path: path.parts):
        try:
            if folder in own:
                path = folder / RECORD
                record = _checked(read_json(path, what="run record"), path)
            else:
                record = RunRecord.from_json(record_of(archived[folder]), folder)
        except InputError as error:
            if unreadable is not None:
                reason = error.__cause__ if isinstance(error.__cause__, InputError) else error
                unreadable.append(Unreadable(folder, str(reason)))
            continue
        yield folder, record


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def is_done(folder: Path) -> bool:
    """Whether a folder holds a finished run, with all of the files that belong to it.

    Of one that lacks files, has others or was edited, a warning is logged.
    """
    try:
        record = read_record(folder)
    except InputError as error:
        if (folder / RECORD).is_file():
            _log.warning("the run in '%s' counts as not done: %s", folder, error.__cause__ or error)
        return False
    damage = find_damage(record) if record.is_done else None
    if damage is not None:
        _log.warning("the run in '%s' counts as not done: %s", folder, damage)
    return record.is_done and damage is None


def has_numbers(folder: Path) -> bool:
    """Whether a folder holds the readable record of a finished run, also of one that has lost other files since."""
    try:
        return read_record(folder).is_done
    except InputError:
        return False


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``, after all other files of the run: it lists them, and seals itself (but not in schema 1)."""
    content = dict(record)
    if content.get("schema") != 1:
        content["files"] = list_files(folder)
        content[SEAL] = seal_of(json.loads(json_bytes(content)))  # as a reader will see it: lists, keys of text
    write_json(folder / RECORD, content)


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines), encoding="utf-8")
