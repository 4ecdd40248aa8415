"""Many settings, each in a process of its own, so that peak memory is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glip_core import InputError
from glip_core.memory import keep_freed_memory
from odinw_bench.profiling.measure import ProfileSettings, profile
from odinw_bench.utils.hardware import allow_tf32


def profile_all(
    settings: Sequence[ProfileSettings], *, say: Callable[[str], None] | None = None
) -> Iterator[dict[str, Any]]:
    """Measure one setting after the other.

    Yields:
        What :func:`odinw_bench.profiling.profile` returns, or ``{"settings", "error"}`` for a setting that failed (out
        of memory, say); the others continue.
    """
    for number, one in enumerate(settings, start=1):
        if say:
            say(f"{number}/{len(settings)}: {describe(one)}")
        yield _in_own_process(one)


def describe(settings: ProfileSettings) -> str:
    """A setting in words."""
    fusion = "with fusion" if settings.fusion else "without fusion"
    return f"{settings.model} {fusion}, {settings.phase}, batch {settings.batch}, {settings.precision}"


def _in_own_process(settings: ProfileSettings) -> dict[str, Any]:
    # -P: as in this process, nothing is imported that happens to lie in the current folder. The new process finds
    # packages where this one does, such as this program where it is not installed.
    command = [sys.executable, "-P", "-m", "odinw_bench.profiling.suite", json.dumps(asdict(settings))]
    places = os.pathsep.join(path for path in sys.path if path and Path(path).is_absolute())
    surroundings = os.environ | {"PYTHONPATH": places}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found
    lines = done.stderr.strip().splitlines()
    reason = lines[-1] if lines else f"the process ended with code {done.returncode}"
    if done.returncode < 0:
        reason = f"the process was killed by signal {-done.returncode}; out of memory?"
    return {"settings": asdict(settings), "error": reason}


def _main() -> None:
    given = json.loads(sys.argv[1])
    given["photo"] = tuple(given["photo"])
    keep_freed_memory()
    allow_tf32(False)  # as in runs
    try:
        print(json.dumps(profile(ProfileSettings(**given))))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
