"""Who may write a record: one process at a time, into a folder of its own that takes the record's place when whole.

What is unfinished lies beside the record under hidden names: ``.NAME.lock`` (see :mod:`odinw_bench.utils.locks`),
``.NAME.TOKEN.part`` (a scratch folder; the token is its claim's), ``.NAME.TOKEN.old`` (a record that is just being
replaced, on file systems that cannot exchange two folders in one step) and ``.NAME.resume`` and
``.NAME.tested-0`` (what a killed run resumes from: its tuning, and the test of each of its processes).

A process that was suspended so long that another took its claim over must not finish: it notices because the new
holder moves its scratch folder away, and because it asks :meth:`Claim.check` before each rename and unlink.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from glip_core.errors import InputError
from odinw_bench.utils.folders import discard, exchange, sync, sync_tree
from odinw_bench.utils.locks import BusyError, Held, LockLostError, exclusive

__all__ = [
    "BusyError",
    "Claim",
    "LockLostError",
    "claim",
    "is_full",
    "resume_path",
    "tested_path",
    "tidy",
    "when_free",
]

PATIENCE_SECONDS = 2.0
"""How long to wait before asking again for what another process is at."""

_Result = TypeVar("_Result")

_STATES = r"lock|resume|tested-\d+"
_KINDS = rf"{_STATES}|(({_STATES})(\.[0-9a-z]+)?\.tmp)|(([0-9a-f]+\.)?(\d+\.)?(part|old))"
_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
_STUCK = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENOTEMPTY)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Claim:
    """The right to write one record.

    Attributes:
        folder: of the record.
        held: the lock.
    """

    folder: Path
    held: Held

    def check(self) -> None:
        """Make sure that the claim still holds.

        Raises:
            LockLostError: another process has it now.
        """
        self.held.check()

    def clear_states(self) -> None:
        """Forget what the processes of the run kept of its tuning and its test.

        Raises:
            LockLostError: see :meth:`check`.
        """
        self.check()
        name = re.compile(rf"\.{re.escape(self.folder.name)}\.(resume|tested-\d+)((\.[0-9a-z]+)?\.tmp)?")
        for path in _left(self.folder):
            if name.fullmatch(path.name):
                path.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A scratch folder that takes the place of :attr:`folder` when the block ends well.

        A run that dies leaves the scratch folder behind, never half a record; the next claim clears it.

        Raises:
            InputError: the results folder cannot be written to.
            LockLostError: the claim was lost meanwhile; what was there before is untouched.
        """
        scratch = _beside(self.folder, f"{self.held.token}.part")
        with _write_errors(self.folder.parent, *_FULL):
            discard(scratch)
            scratch.mkdir(parents=True)
            try:
                yield scratch
                sync_tree(scratch)
                with _write_errors(self.folder.parent, *_REFUSED):
                    self._put(scratch)
            except FileNotFoundError:
                self.check()  # the new holder moved the scratch folder away: say so
                raise
            finally:
                discard(scratch)

    def _put(self, scratch: Path) -> None:
        """Put the scratch folder in the record's place; a reader finds the old record or the new one."""
        self.check()
        if not self.folder.exists():
            scratch.rename(self.folder)
        elif not exchange(scratch, self.folder):
            away = _beside(self.folder, f"{self.held.token}.old")
            self.folder.rename(away)
            scratch.rename(self.folder)  # a kill before this line: the next claim puts the old record back
            discard(away)
        sync(self.folder.parent)

    def _clear_others(self) -> None:
        """Clear what dead processes, and those that lost the claim, left beside the record.

        Scratch folders are moved before they are deleted: one step, after which their owner's own last step, the
        rename into the record's place, must fail. What can be neither moved nor removed stays where it is: its
        owner, should it live, asks :meth:`check` before that rename.
        """
        for number, path in enumerate(_left(self.folder)):
            if re.fullmatch(rf"\.({_STATES})", path.suffix):
                continue
            self.check()
            gone = _beside(self.folder, f"{self.held.token}.{number}.part")
            try:
                if path.name.endswith(".old") and not self.folder.exists():
                    path.rename(self.folder)
                    continue
                path.rename(gone)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in _STUCK:
                    raise
                gone = path
            discard(gone)


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """Be the only one at work on a record while the block runs.

    Args:
        folder: of the record; those around it are made.

    Raises:
        BusyError: another living process is.
        InputError: the results folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        with _write_errors(folder.parent, *_REFUSED, *_FULL):
            folder.parent.mkdir(parents=True, exist_ok=True)
            claimed = Claim(folder, stack.enter_context(exclusive(_beside(folder, "lock"))))
            claimed._clear_others()
        yield claimed


def when_free(work: Callable[[], _Result], say: Callable[[str], None] = lambda _: None) -> _Result:
    """What a work gives that another process may be doing just now: that one is waited for.

    Args:
        work: raises :class:`BusyError` as long as another process is at it, and then finds what that one has done.
        say: called once where there is something to wait for.
    """
    waiting = False
    while True:
        try:
            return work()
        except BusyError as error:
            if not waiting:
                say(f"waiting: {error}")
            waiting = True
        time.sleep(PATIENCE_SECONDS)


def resume_path(folder: Path) -> Path:
    """Where a run that is being tuned keeps what it needs to go on."""
    return _beside(folder, "resume")


def tested_path(folder: Path, process: int) -> Path:
    """Where one of the processes of a run that is being tested keeps what it needs to go on.

    Args:
        folder: of the record.
        process: its number.
    """
    return _beside(folder, f"tested-{process}")


def tidy(folder: Path) -> None:
    """Clear what a process left beside a finished record when it was killed between the record and its own tidying.

    Nothing is touched that a living process may be using.
    """
    if not _left(folder):
        return
    with contextlib.suppress(BusyError, InputError, OSError), claim(folder) as claimed:
        claimed.clear_states()


def _beside(folder: Path, kind: str) -> Path:
    """A hidden neighbour of a record's folder, which no search for records finds."""
    return folder.with_name(f".{folder.name}.{kind}")


def _left(folder: Path) -> list[Path]:
    """The hidden neighbours of a record's folder: locks, states of unfinished runs, and what was left behind."""
    kinds = re.compile(rf"\.{re.escape(folder.name)}\.({_KINDS})")
    try:
        return sorted(path for path in folder.parent.iterdir() if kinds.fullmatch(path.name))
    except OSError:
        return []


@contextmanager
def _write_errors(results: Path, *remediable: int) -> Iterator[None]:
    """Turn what a user can remedy about the results folder into one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in remediable:
            raise InputError(f"cannot write to the results folder '{results}': {error.strerror}") from error
        if not isinstance(error, InputError) and is_full(error):
            raise InputError(f"cannot write to the results folder '{results}': {os.strerror(errno.ENOSPC)}") from error
        raise


def is_full(error: Exception) -> bool:
    """Whether an error says that there is no room to write: torch and safetensors have only words for it."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return os.strerror(errno.ENOSPC) in str(error)
