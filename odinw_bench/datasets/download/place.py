"""Unpacked files put where they belong: nothing of the user's is overwritten, and what is there is whole."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.utils.io import replacing


def put(files: Mapping[Path, Path]) -> None:
    """Move files to their places. One that lies there already with the same content stays.

    Args:
        files: from where a file is to where it belongs. The folders are made; they may be on another disk.

    Raises:
        InputError: something else is in one of the places, before anything is moved; or the disk is full, or a folder
            cannot be written.
    """
    waiting = {path: place for path, place in files.items() if not _is_there(path, place)}
    for path, place in waiting.items():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _move(path, place)
        except OSError as error:
            raise InputError(f"'{place}' cannot be written: {error}") from error


def _is_there(path: Path, place: Path) -> bool:
    if not place.exists() and not place.is_symlink():
        return False
    same = place.is_file() and place.stat().st_size == path.stat().st_size and file_sha256(place) == file_sha256(path)
    if not same:
        raise InputError(f"'{place}' is in the way: it is not what was downloaded; move it away and try again")
    return True


def _move(path: Path, place: Path) -> None:
    try:
        path.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(place) as fresh:  # a folder on another disk: copied first, so that the file is never half
            shutil.copyfile(path, fresh)
