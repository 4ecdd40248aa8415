"""Commands under ``torchrun``, again and again: how many processes end otherwise than with exit code 0.

``python -m tests.faults.torchrun_ends --runs 40`` tunes once by two processes, then alternates between the same command
(done before, so that all time goes into beginning and ending together) and a short tuning. Busy loops beside it
(``--load``) make the processes be interrupted between any two of their last steps. It prints how many commands
it gave and the output of those that failed; the exit code is 1 if one did.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "odinw_bench"]
TUNING = ["run", "--dataset", "packages", "--mode", "linear", "--shots", "1", "--results", "results", "--quiet"]
SHORT = ["--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1,batch=2"]
EVERY = 4
"""One in so many commands tunes; the others find that it is done."""


def ends(runs: int, load: int, seconds: float, folder: Path) -> tuple[int, int, list[str]]:
    """Give the command so often, or for so many seconds.

    Returns:
        commands that tuned, all commands, what those that failed wrote.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=_give_way) for _ in range(load)]
    until, tuned, given, failed = time.monotonic() + seconds, 0, 0, []
    try:
        while given < runs and time.monotonic() < until:
            if given % EVERY == 0:
                shutil.rmtree(folder / "results", ignore_errors=True)
                tuned += 1
            done = subprocess.run(
                [*COMMAND, *TUNING, *SHORT], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
            )
            given += 1
            if done.returncode or "terminate called" in done.stderr:
                failed.append(f"command {given}, exit code {done.returncode}:\n{done.stderr[-4000:]}")
                print(failed[-1], flush=True)
            if given % 10 == 0:
                print(f"{given} commands, {len(failed)} failed", file=sys.stderr, flush=True)
    finally:
        for one in busy:
            one.kill()
            one.wait()
    return tuned, given, failed


def _give_way() -> None:
    os.nice(3)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.torchrun_ends", description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--load", type=int, default=2, help="busy loops beside it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # with its busy loops
    with tempfile.TemporaryDirectory() as folder:
        tuned, commands, failed = ends(given.runs, given.load, given.seconds, Path(folder))
    print(f"{commands} commands of two processes, {tuned} of them tuned: {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
