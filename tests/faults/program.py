"""The program as a process of its own, which can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from odinw_bench.runs.record import find_records

PATIENCE = 180.0


def start(folder: Path, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    """``odinw-bench ARGUMENTS`` in a folder, as the leader of a group of processes."""
    command = [sys.executable, "-m", "odinw_bench", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, text=True, **pipes)


def end(process: subprocess.Popen[str], *codes: int) -> tuple[str, str]:
    """Wait for a program; its output. No ending is a traceback."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (codes or (0,)), (process.returncode, out[-2000:], err[-2000:])
    assert "Traceback" not in out + err, err[-3000:]
    return out, err


def refused(process: subprocess.Popen[str]) -> str:
    """Wait for a program that cannot do what it was asked; its one line."""
    _, err = end(process, 2)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    return lines[0]


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to all processes of a program."""
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def when(happened: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    """Wait until something is true; what it is."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)
    return found


def records(results: Path) -> dict[str, dict[str, Any]]:
    """All records by place; every file that claims to be one is whole."""
    for path in results.rglob("run.json"):
        if not any(part.startswith(".") for part in path.relative_to(results).parts):
            json.loads(path.read_text())
    return {str(place.relative_to(results)): record for place, record in find_records(results)}


def numbers(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The metrics of records."""
    assert all(record["status"] == "done" for record in found.values()), found
    return {place: record["metrics"] for place, record in found.items()}


def leftovers(results: Path) -> list[Path]:
    """Locks, scratch folders and states of resumption."""
    endings = (".lock", ".part", ".tmp", ".resume", ".old")
    return [path for path in results.rglob(".*") if path.name.endswith(endings) or ".tested-" in path.name]
