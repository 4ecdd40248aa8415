"""The lock under which workers write to the journal of a study."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from optuna.storages.journal import JournalFileSymlinkLock

from odinw_bench.utils.locks import UNSUPPORTED


class JournalLock(JournalFileSymlinkLock):
    """``flock`` on the journal itself, which ends with its process.

    Optuna's own lock is a link that a killed worker leaves behind. The next one waits for it for 30 seconds, and for
    ever where the journal was given by a relative path: the link then leads nowhere, so that its age is never known.
    It is used, with an absolute path, only where the file system has no ``flock``.

    Args:
        journal: the file; its folder must exist.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal.resolve()
        self._handle: int | None = None
        super().__init__(str(self._journal))

    def acquire(self) -> bool:
        """Wait for the lock and take it; always true."""
        handle = os.open(self._journal, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in UNSUPPORTED:
                return super().acquire()
            raise
        self._handle = handle
        return True

    def release(self) -> None:
        """Give it back."""
        if self._handle is None:
            super().release()
            return
        handle, self._handle = self._handle, None
        os.close(handle)
