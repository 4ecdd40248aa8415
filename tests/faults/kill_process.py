"""One call of the program, which is sent a signal at a chosen moment: in a fork of this process, or on its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

PATIENCE = 240.0
"""Seconds in which a call must end, and in which a signal must have ended it."""

OUTPUT, CHANGES = "output.txt", "changes.txt"
DEFAULTS = (signal.SIGHUP, signal.SIGTERM)


@dataclass(frozen=True)
class Shot:
    """A signal to come.

    Attributes:
        signal: which.
        after: seconds from the start; None where ``change`` says when.
        change: before which change of a file, from 1; 0: never.
        group: sent to all processes of the call, as a terminal does; else to the first alone, as ``kill`` does.
    """

    signal: signal.Signals
    after: float | None = None
    change: int = 0
    group: bool = True


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        code: exit code, or minus the signal that ended it.
        signalled: the signal reached it while it lived.
        seconds: that it took.
        changes: of files, where they were counted.
    """

    code: int
    signalled: bool
    seconds: float
    changes: int = 0


def load_program() -> None:
    """Import now what calls need, so that a fork begins with its work. No work is done: forks start as new."""
    import torch

    import odinw_bench.cli
    import odinw_bench.engine.train
    import odinw_bench.pretraining
    import odinw_bench.report
    import odinw_bench.report.build
    import odinw_bench.runs.external
    import odinw_bench.runs.run
    import odinw_bench.search.outcome
    import odinw_bench.search.tuning  # noqa: F401
    from odinw_bench.datasets.registry import load_suite

    torch.set_num_threads(1)
    load_suite("mini")  # reads the package's own task files


def call(folder: Path, arguments: tuple[str, ...], shot: Shot | None, *, warm: Callable[[], None] | None) -> Ending:
    """Call ``odinw-bench ARGUMENTS`` in a folder.

    Args:
        folder: where; the output goes to its :data:`OUTPUT`.
        arguments: of the program.
        shot: the signal to send it; None: none.
        warm: called first in a fork of this process, which then does the work; None: a process of its own.

    Raises:
        AssertionError: it did not end in time.
    """
    started = time.monotonic()
    pid = _own(folder, arguments) if warm is None else _fork(folder, arguments, shot, warm)
    shot_now = shot is not None and shot.after is not None
    code = _wait(pid, shot.after if shot_now else PATIENCE)
    signalled = False
    if code is None and shot_now:
        (os.killpg if shot.group else os.kill)(pid, shot.signal)
        signalled = True
        code = _wait(pid, PATIENCE)
    if code is None:
        end_group(pid)
        os.waitpid(pid, 0)
        raise AssertionError(f"no end after {PATIENCE:.0f} seconds{' and a signal' if signalled else ''}")
    if shot is not None and shot.change and code != 0:
        signalled = True
    if shot is None or shot.group:
        end_group(pid)  # what did not die of the signal
    changes = int((folder / CHANGES).read_text()) if (folder / CHANGES).exists() else 0
    return replace(Ending(code, signalled, time.monotonic() - started), changes=changes)


def end_group(pid: int) -> None:
    """SIGKILL to whatever is left of a call."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code; None when it still works after so long."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(0.005, left))


def _usual_signals() -> None:
    """As in a terminal: whatever started this process (``nohup``, a shell's ``&``) may have some ignored."""
    for one in DEFAULTS:
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _own(folder: Path, arguments: tuple[str, ...]) -> int:
    with (folder / OUTPUT).open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "odinw_bench", *arguments],
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_usual_signals,
        ).pid


def _fork(folder: Path, arguments: tuple[str, ...], shot: Shot | None, warm: Callable[[], None]) -> int:
    ready, begun = os.pipe()
    pid = os.fork()
    if pid:
        os.close(begun)
        os.read(ready, 1)  # its group exists, and its signals are the usual ones
        os.close(ready)
        return pid
    code = 1
    try:
        os.setsid()
        _usual_signals()
        os.write(begun, b".")
        os.close(begun)
        code = _work(folder, arguments, shot, warm)
    finally:
        os._exit(code)


def _work(folder: Path, arguments: tuple[str, ...], shot: Shot | None, warm: Callable[[], None]) -> int:
    """The life of a fork."""
    import traceback

    from odinw_bench.cli import main

    from .moments import kill_before

    os.chdir(folder)
    output = os.open(OUTPUT, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    warm()
    sys.argv = ["odinw-bench", *arguments]

    def die() -> None:
        (os.killpg if shot.group else os.kill)(os.getpid(), shot.signal)

    changes = kill_before(shot.change if shot else 0, die)
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    if code == 0 and shot is None:
        Path(CHANGES).write_text(str(changes()))
    sys.stdout.flush()
    sys.stderr.flush()
    return code
