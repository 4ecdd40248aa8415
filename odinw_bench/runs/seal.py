"""The seal of a record: ``run.json`` lists the other files of its run with their sizes and hashes.

It is written last, with a hash over its own content (:func:`odinw_bench.runs.schema.seal_of`), which is checked
whenever it is read. Sizes are looked at whenever a record counts as done, a hash when the file is used. Records of
schema 1 list no files: of them nothing can be said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.runs.schema import RunRecord
from odinw_bench.utils.io import stays_inside

RECORD = "run.json"


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The ``files`` of a record: ``size`` (bytes) and ``sha256`` by relative path, all but ``run.json``."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }


def find_damage(record: RunRecord) -> str | None:
    """What is missing of a record's files, or has another size than it had; None: nothing, or it is not known.

    Of an archived record nothing is known: its other files may lie elsewhere.
    """
    folder = record.folder
    if folder is None or not record.files or not (folder / RECORD).is_file():
        return None
    problems = [text for name in record.files if (text := _problem(record, folder, name)) is not None]
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more


def open_sealed(record: RunRecord, name: str) -> Path:
    """The path of a file of a record, which is about to be used.

    Args:
        record: read from a folder.
        name: of the file, relative to the folder.

    Raises:
        InputError: it is missing, or is not the file that the run wrote; the message names the remedy.
    """
    folder = record.folder
    assert folder is not None
    path = folder / name
    wrong = None if path.is_file() else f"'{name}' is missing"
    if name in record.files:
        wrong = _problem(record, folder, name)
        if wrong is None and file_sha256(path) != record.files[name]["sha256"]:
            wrong = f"'{name}' was changed after the run: its hash is not the record's"
    if wrong is not None:
        raise InputError(f"the run in '{folder}' cannot be used: {wrong}; restore the file, or do the run again")
    return path


def _problem(record: RunRecord, folder: Path, name: str) -> str | None:
    stated = record.files[name]["size"]
    if not stays_inside(name):
        return f"{name!r} is no file of this folder"
    try:
        size = (folder / name).stat().st_size
    except OSError:
        return f"'{name}' is missing"
    return None if size == stated else f"'{name}' has {size:,} bytes, not the {stated:,} that the run wrote"
