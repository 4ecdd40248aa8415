"""Tar archives of strangers, unpacked safely: plain files alone, nothing leaves the folder, nothing fills the disk."""

from __future__ import annotations

import fnmatch
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from glip_core.errors import InputError
from odinw_bench.datasets.download.archive import MAX_BYTES, MAX_MEMBERS, BrokenArchiveError
from odinw_bench.utils.io import stays_inside
from odinw_bench.utils.text import shorten


def unpack_tar(archive: Path, folder: Path, *, keep: Sequence[str] = (), limit: int = MAX_BYTES) -> list[Path]:
    """Unpack the plain files of a tar archive, packed by gzip or not, into a folder of its own.

    The archive is read once, in order, since these have many gigabytes.

    Args:
        archive: the file.
        folder: where to; made where it is missing, and should be empty.
        keep: patterns that the last part of a member's name must match one of; empty: all members.
        limit: the most bytes that are written.

    Returns:
        the files written.

    Raises:
        InputError: it is no tar archive, broken or too large, the disk has too little room, or a wanted member would
            lie outside the folder.
    """
    written: list[Path] = []
    total = 0
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r|*") as opened:
            for member in opened:
                name = PurePosixPath(member.name)
                wanted = not keep or any(fnmatch.fnmatch(name.name, pattern) for pattern in keep)
                if not member.isfile() or not wanted:  # links and devices are never written
                    continue
                if not stays_inside(member.name):
                    raise InputError(
                        f"archive '{archive}' is not safe: {shorten(member.name)} would lie outside its folder"
                    )
                total += member.size
                _check(archive, folder, member.size, total, len(written) + 1, limit)
                source = opened.extractfile(member)
                if source is None:
                    continue
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                written.append(path)
    except InputError:
        raise
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise BrokenArchiveError(f"archive '{archive}' is broken: {error or type(error).__name__}") from error
    except OSError as error:
        raise InputError(f"archive '{archive}' cannot be unpacked to '{folder}': {error}") from error
    return written


def _check(archive: Path, folder: Path, size: int, total: int, count: int, limit: int) -> None:
    if total > limit or count > MAX_MEMBERS:
        raise InputError(f"archive '{archive}' holds over {limit:,} bytes or {MAX_MEMBERS:,} files: too large")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(f"unpacking '{archive}' takes {size:,} more bytes; '{folder}' has {free:,} free")
