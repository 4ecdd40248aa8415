"""Zips of strangers, unpacked safely: nothing leaves the folder, nothing fills the disk unannounced."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from glip_core.errors import InputError
from odinw_bench.utils.io import stays_inside
from odinw_bench.utils.text import shorten

MAX_BYTES = 64 << 30
"""The most an archive may hold unpacked; the largest official one has some 15 GB."""

MAX_MEMBERS = 1_000_000
MAX_RATIO = 200
"""Text of annotations packs some 20-fold, pictures not at all; beyond this it is a bomb, not data."""

_SMALL = 10 << 20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""LZMA is not unpacked: a few bytes can make it claim 4 GB of memory, and no source of data uses it."""

_REFUSED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, OverflowError, ValueError),
)


class BrokenArchiveError(InputError):
    """An archive is none, or damaged: to download it again may help."""


def unpack(archive: Path, folder: Path, *, limit: int = MAX_BYTES) -> list[Path]:
    """Unpack a zip into a folder of its own.

    Files of the packing system (``__MACOSX``, ``.DS_Store``) are left out.

    Args:
        archive: the zip.
        folder: where to; made where it is missing, and should be empty.
        limit: the most bytes that it may hold unpacked.

    Returns:
        the files written.

    Raises:
        InputError: it is no zip, broken, encrypted or too large, the disk has too little room, or a member would
            lie outside the folder or is a link. Nothing is written then, unless the damage shows only on the way.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if _wanted(member)]
            _check_sizes(archive, folder, members, limit)
            places = {_place(archive, member): member for member in members}
            return [_write(opened, member, folder / place) for place, member in places.items()]
    except InputError:
        raise
    except _REFUSED as error:
        raise BrokenArchiveError(f"archive '{archive}' is broken: {error or type(error).__name__}") from error
    except OSError as error:
        raise InputError(f"archive '{archive}' cannot be unpacked to '{folder}': {error}") from error


def _wanted(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return not member.is_dir() and "__MACOSX" not in parts and parts[-1:] != (".DS_Store",)


def _check_sizes(archive: Path, folder: Path, members: list[zipfile.ZipInfo], limit: int) -> None:
    if len(members) > MAX_MEMBERS:
        raise InputError(f"archive '{archive}' holds {len(members):,} files; at most {MAX_MEMBERS:,} are unpacked")
    total = sum(member.file_size for member in members)
    if total > limit:
        raise InputError(f"archive '{archive}' holds {total:,} bytes; at most {limit:,} are unpacked")
    packed = sum(member.compress_size for member in members)
    if total > _SMALL and total > MAX_RATIO * max(packed, 1):
        raise InputError(f"archive '{archive}' would grow {total // max(packed, 1):,}-fold: that is no data set")
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if total > free:
        raise InputError(f"unpacking '{archive}' takes {total:,} bytes; '{folder}' has {free:,} free")


def _place(archive: Path, member: zipfile.ZipInfo) -> Path:
    """Where a member goes, relative to the folder."""
    name = member.filename
    if member.compress_type not in _PACKED:
        raise InputError(f"archive '{archive}' packs {shorten(name)} by another method than deflate: pack it again")
    if not stays_inside(name):
        raise InputError(f"archive '{archive}' is not safe: {shorten(name)} would lie outside its folder")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"archive '{archive}' is not safe: {shorten(name)} is a link")
    return Path(*PureWindowsPath(name).parts)


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return path
