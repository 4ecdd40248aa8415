"""The lock under which workers write to the journal of a study, whose last line may have been left half-written."""

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

    Whoever takes the lock cuts off half a line at the journal's end, which a full disk or a power failure leaves: the
    next record would be appended to it, and a line that is none makes the whole journal unreadable for good.

    Args:
        journal: the file; its folder must exist.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal.resolve()
        self._handle: int | None = None
        super().__init__(str(self._journal))

    def acquire(self) -> bool:
        """Wait for the lock and take it; always true."""
        self._wait()
        try:
            self._cut_unfinished_line()
        except BaseException:
            self.release()
            raise
        return True

    def _wait(self) -> None:
        handle = os.open(self._journal, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in UNSUPPORTED:
                super().acquire()
                return
            raise
        self._handle = handle

    def _cut_unfinished_line(self) -> None:
        with self._journal.open("rb+") as journal:
            if not journal.seek(0, os.SEEK_END):
                return
            journal.seek(-1, os.SEEK_END)
            if journal.read() != b"\n":
                journal.seek(0)
                journal.truncate(journal.read().rfind(b"\n") + 1)

    def release(self) -> None:
        """Give it back."""
        if self._handle is None:
            super().release()
            return
        handle, self._handle = self._handle, None
        os.close(handle)
