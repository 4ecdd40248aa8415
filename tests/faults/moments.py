"""A process that is killed at every moment at which it changes something on disk, one after the other.

``python -m tests.faults.moments run DATASET RESULTS`` (or ``report RESULTS OUT``) does the work in a forked process
that kills itself before its first change of a file, then in one that does so before its second, and so on until the
work is done. It prints how many moments there were. Between two kills it checks what a reader would find.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from odinw_bench.runs.record import find_records


def at_every_moment(work: Callable[[], None], check: Callable[[], None]) -> int:
    """Kill the work before its first change, its second, ...; returns how many kills there were."""
    for moment in range(1, 10_000):
        child = os.fork()
        if child == 0:
            kill_before(moment)
            try:
                work()
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check()
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0, "the work failed without having been killed"
            return moment - 1
    raise AssertionError("it never ended")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before(moment: int, die: Callable[[], None] = _die) -> Callable[[], int]:
    """Let this process die before its so-many-th change of a file; returns what counts the changes so far.

    Args:
        moment: from 1; 0: never.
        die: what kills it.
    """
    changes = 0

    def is_now() -> bool:
        nonlocal changes
        changes += 1
        return changes == moment

    def counted(function):
        def call(*arguments, **options):
            if is_now():
                die()
            return function(*arguments, **options)

        return call

    for name in ("replace", "rename", "mkdir", "unlink", "rmdir", "symlink"):
        setattr(os, name, counted(getattr(os, name)))
    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, counted(getattr(Path, name)))
    plain, write_bytes = builtins.open, Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        """A kill in the middle of a file's content."""
        if is_now():
            with plain(path, "wb") as stream:
                stream.write(data[: len(data) // 2])
            die()
        return write_bytes(path, data)

    Path.write_bytes = half
    return lambda: changes


def _whole_records(results: Path) -> Callable[[], None]:
    def check() -> None:
        for _, record in find_records(results):
            assert record["status"] == "done" and record["metrics"]["AP"] is not None

    return check


def _run(dataset: Path, results: Path) -> int:
    from odinw_bench.engine import unfinished
    from odinw_bench.runs.run import run
    from odinw_bench.runs.spec import RunSpec

    unfinished.PATIENCE = 0.0  # what is found in testing is kept at once, too
    recipe = {"epochs": 2, "repeats_per_epoch": 1, "min_steps_per_epoch": 1, "eval_every": 1}
    spec = RunSpec(str(dataset), mode="linear", shots=1, overrides=recipe)
    return at_every_moment(lambda: run(spec, results), _whole_records(results))


def _report(results: Path, out: Path) -> int:
    from odinw_bench.report import build

    write, made = build._write, []
    build._write = lambda report, _, page: made.append((report, page)) or []  # the drawing of it changes no files
    build.build_report(build.ReportSettings(results=results, out=out, pictures=0))

    def check() -> None:
        for path in out.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                assert ends_well(path), path

    return at_every_moment(lambda: write(made[0][0], out, made[0][1]), check)


def ends_well(path: Path) -> bool:
    """Whether a file of a report has the end that it should have."""
    data = path.read_bytes().rstrip(b"\n")
    ends = {".html": b"</html>", ".png": b"IEND\xaeB`\x82", ".svg": b"</svg>"}
    return bool(data) and data.endswith(ends.get(path.suffix, b""))


WORK = {"run": _run, "report": _report}

if __name__ == "__main__":
    kind, *folders = sys.argv[1:]
    print(json.dumps({"moments": WORK[kind](*map(Path, folders))}))
