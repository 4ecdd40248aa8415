"""Measure what the README says of size: ``python -m tests.load``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.load import made


def measure(*arguments: object) -> tuple[float, float, int]:
    """Seconds, gigabytes at most, and exit code of the program."""
    command = [sys.executable, "-m", "odinw_bench", *map(str, arguments)]
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)],
    )
    _, status, usage = os.wait4(child, 0)
    return time.perf_counter() - started, usage.ru_maxrss / 2**20, os.waitstatus_to_exitcode(status)


def main() -> None:
    """Print the table."""
    print("| what | seconds | memory, GB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made.write_records(folder / "records", 20_000)
        _line("report of 20,000 records", "report", "--results", folder / "records", "--out", folder / "report")
        made.write_images(folder / "images", 100_000)
        _line("data list of 100,000 pictures", "data", "list", "--suite", folder, codes=(0,))
        _line("data check of 100,000 pictures", "data", "check", "--dataset", folder / "images")
        made.write_classes(folder / "classes", 1_203)
        run = ("run", "--dataset", folder / "classes", "--mode", "zero-shot", "--results", folder / "results")
        _line("zero-shot run with 1,203 classes on 3 pictures", *run)


def _line(what: str, *arguments: object, codes: tuple[int, ...] = (0,)) -> None:
    seconds, memory, code = measure(*arguments)
    if code not in codes:
        sys.exit(f"{what}: exit code {code}")
    print(f"| {what} | {seconds:.1f} | {memory:.2f} |", flush=True)


if __name__ == "__main__":
    main()
