"""Temporary files beside those that they replace, and what killed processes left of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"\..+\.([0-9a-f]{12}|[0-9a-f]{16})\.tmp")  # the longer ones are of odinw_bench.utils.locks


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path`` that is removed when the block ends, unless it was moved.

    While the block runs the file is locked with ``flock``, which ends with the process: so others can tell it from
    what a dead process left.

    Args:
        path: the file that it will replace; its folder must exist.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        try:
            with contextlib.suppress(OSError):  # no flock there: then nothing is taken for a dead process's, either
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:  # not where it was cleared before it could be locked
                yield temporary
                return
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)


def clear_scratch(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; those of living ones stay.

    Args:
        folder: it alone, nothing below it; may be missing.
    """
    try:
        left = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return
    for path in left:
        with contextlib.suppress(OSError):  # of a living process, gone meanwhile, or no flock there
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)
