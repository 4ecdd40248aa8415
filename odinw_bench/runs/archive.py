"""Many run records in one compressed file: a line per record, each with the folder that it stands for."""

from __future__ import annotations

import functools
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from glip_core.errors import InputError
from odinw_bench.utils.folders import find_folders
from odinw_bench.utils.io import MAX_JSON_BYTES, stays_inside, write_bytes

__all__ = ["ARCHIVE", "archived_record", "archived_records", "record_of", "write_archive"]

ARCHIVE = "records.jsonl.gz"


def write_archive(path: Path, records: Iterable[tuple[PurePath | str, Mapping[str, Any]]]) -> int:
    """Write records into one file; equal records give equal bytes.

    Args:
        path: the file, named :data:`ARCHIVE` so that it is found, in the folder that the records' folders lie below.
        records: of each record its folder, relative to that of ``path``, and the content of its ``run.json``.

    Returns:
        the number of records.
    """
    lines = [
        json.dumps({"folder": PurePath(folder).as_posix(), "record": dict(record)}, ensure_ascii=False, allow_nan=False)
        for folder, record in sorted(records, key=lambda entry: PurePath(entry[0]))
    ]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())
    write_bytes(path, buffer.getvalue())
    return len(lines)


def archived_records(results: Path) -> dict[Path, bytes]:
    """The records that archives in, below or above a folder hold of it.

    Args:
        results: the folder.

    Returns:
        by the folder that a record stands for, its line, for :func:`record_of`: an archive may hold tens of thousands
        of records, and their lines need a tenth of the memory.

    Raises:
        InputError: an archive is damaged.
    """
    found: dict[Path, bytes] = {}
    place = results.absolute()
    for above in place.parents:
        if (above / ARCHIVE).is_file():
            inside = ((above / folder, line) for folder, line in _read(above / ARCHIVE).items())
            found |= {results / path.relative_to(place): line for path, line in inside if path.is_relative_to(place)}
    for parent in sorted(find_folders(results, ARCHIVE)):
        found |= {parent / folder: line for folder, line in _read(parent / ARCHIVE).items()}
    return found


def record_of(line: bytes) -> dict[str, Any]:
    """What the ``run.json`` of a line's record held."""
    record: dict[str, Any] = json.loads(line)["record"]
    return record


def archived_record(folder: Path) -> dict[str, Any] | None:
    """The record of one folder, by an archive in it or in a folder above it; None: there is none.

    Raises:
        InputError: an archive on the way is damaged.
    """
    place = folder.absolute()
    for above in place.parents:
        path = above / ARCHIVE
        if path.is_file():
            line = _read(path).get(place.relative_to(above))
            if line is not None:
                return record_of(line)
    return None


def _read(path: Path) -> Mapping[Path, bytes]:
    status = path.stat()
    return _read_version(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2)
def _read_version(path: Path, modified: int, size: int) -> Mapping[Path, bytes]:
    """The lines of an archive by their relative folder; kept, since a grid asks for one cell after the other."""
    found: dict[Path, bytes] = {}
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = json.loads(line)
            folder = entry["folder"]
            sound = isinstance(folder, str) and stays_inside(folder) and isinstance(entry["record"], dict)
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if not sound:
            raise _damaged(path, f"line {number} is not a folder with its record")
        found[Path(folder)] = line
    return found


def _lines(path: Path) -> list[bytes]:
    try:
        with gzip.open(path) as stream:
            text = stream.read(MAX_JSON_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise _damaged(path, str(error)) from error
    if len(text) > MAX_JSON_BYTES:
        raise InputError(
            f"record archive '{path}' holds more than {MAX_JSON_BYTES:,} bytes; split it into several folders"
        )
    return text.splitlines()


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"record archive '{path}' is damaged: {why}; restore it, or take it out of the results folder")
