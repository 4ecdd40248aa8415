"""Folders that change place in one step, and files that outlast a power cut."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_log = logging.getLogger(__name__)


def find_folders(folder: Path, name: str) -> Iterator[Path]:
    """The folders that hold a file of a name, from a folder on, in no order; without hidden ones and links to folders.

    ``Path.glob`` takes several times as long for tens of thousands of folders.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        if name in files:
            yield Path(place)


def exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step of the file system: a reader sees one content or the other, never none.

    Returns:
        False where the system or the file system cannot; nothing has changed then.

    Raises:
        OSError: a path is missing, or may not be renamed.
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call


def discard(path: Path) -> bool:
    """Remove a folder or a file that is of no more use; where that cannot be, one warning and no error.

    Whether rubbish can be removed (immutable files, another user's, a file system mounted below) decides about
    nothing that was done before.

    Returns:
        whether nothing is there any more.
    """
    problems: list[BaseException] = []
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=lambda _function, _path, info: problems.append(info[1]))
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(error)
    if not os.path.lexists(path):
        return True
    first = next((one for one in problems if isinstance(one, OSError)), None)
    if first is None or first.errno != errno.EROFS:  # what made the file system read-only is the news, not this
        reason = "" if first is None else f" ({first.strerror or first})"
        _log.warning("'%s' cannot be removed%s; it does no harm, remove it by hand", path, reason)
    return False


def sync(path: Path) -> None:
    """Have a file or a folder's list of names written to the disk now; without effect where that cannot be asked."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """:func:`sync` of all files below a folder, and of the folders."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync(Path(parent) / name)
        sync(Path(parent))
