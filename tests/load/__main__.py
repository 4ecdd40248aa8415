"""Measure what the README says of size: ``python -m tests.load``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.load import made

_REPORTER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run([sys.executable, "-m", "odinw_bench", *sys.argv[1:]], capture_output=True)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([time.perf_counter() - started, most / 2**20, done.returncode]))
"""


def measure(*arguments: object) -> tuple[float, float, int]:
    """Seconds, gigabytes at most, and exit code of the program.

    A small process starts it: Linux counts the memory of whoever starts a program as that program's own.
    """
    command = [sys.executable, "-c", _REPORTER, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory, code = json.loads(done.stdout)
    return seconds, memory, code


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
