"""How far a run is: lines for people, and two files in its scratch folder for whoever looks on.

``history.jsonl`` grows by a line an epoch; at the end it holds exactly what it would if it were written at once.
``progress.json`` says what is being done, is replaced whole, and is gone before the record is sealed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from odinw_bench.runs.loggers import NO_LOGGERS, Loggers
from odinw_bench.utils.locks import LEASE_SECONDS
from odinw_bench.utils.text import duration

Say = Callable[[str], None]

HISTORY = "history.jsonl"
PROGRESS = "progress.json"
_EVERY = 1.0  # seconds between two states of progress.json while testing
_SCRATCH = re.compile(r"\.(?P<name>.+)\.[0-9a-f]+\.part")


class CellProgress:
    """Tells of the progress of one run. What cannot be written is left out: the run matters more.

    Args:
        name: of the run, for people.
        folder: the scratch folder.
        say: called with a line of text on each step.
        loggers: are given each epoch.
    """

    def __init__(self, name: str, folder: Path, say: Say, loggers: Loggers = NO_LOGGERS) -> None:
        self.name, self.folder, self.say, self.loggers = name, folder, say, loggers
        self.started = time.time()
        self.epochs = self.before = 0
        self.spent = 0.0  # seconds of the epochs that were done before an interruption
        self.best: float | None = None
        self.testing = self.written = 0.0

    def __enter__(self) -> Self:
        self._write(stage="begins")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def begin_tuning(self, epochs: int) -> None:
        """Tuning begins, of so many epochs at most."""
        self.epochs = epochs
        self._write(stage="tuning", epoch=0, epochs=epochs)

    def resume(self, history: Sequence[dict[str, Any]]) -> None:
        """Tuning goes on after some epochs."""
        for line in history:
            self._keep(line)
        if history:
            self.before, self.spent = history[-1]["epoch"], history[-1]["seconds"]

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch is done; its line of the history."""
        self._keep(line)
        number, ap, loss = line["epoch"], line["validation_AP"], sum(line["losses"].values())
        pace = (line["seconds"] - self.spent) / max(1, number - self.before)
        left = pace * (self.epochs - number)
        found = f", validation AP {ap:.1f}{' (best so far)' if line['best'] else ''}" if ap is not None else ""
        self.say(
            f"epoch {number}/{self.epochs}: loss {loss:.3f}{found}, {duration(pace)} an epoch, "
            f"at most {duration(left)} of tuning left"
        )
        state = {"epoch": number, "epochs": self.epochs, "loss": round(loss, 4), "best_AP": self.best}
        self._write(stage="tuning", seconds_left=round(left, 1), **state)

    def tested(self, seen: int, images: int) -> None:
        """So many of the test images are done."""
        now = time.time()
        first = not self.testing
        if first:
            self.testing, self.first = now, seen
        pace = (now - self.testing) / (seen - self.first) if seen > self.first else None
        left = None if pace is None else pace * (images - seen)
        self.say(f"test image {seen}/{images}" + ("" if left is None else f", {duration(left)} left"))
        if first or now > self.written + _EVERY:
            self._write(
                stage="testing",
                image=seen,
                images=images,
                best_AP=self.best,
                seconds_left=None if left is None else round(left, 1),
            )

    def remove(self) -> None:
        """Nothing is being done any more."""
        with contextlib.suppress(OSError):
            (self.folder / PROGRESS).unlink(missing_ok=True)

    def _keep(self, line: dict[str, Any]) -> None:
        if line["validation_AP"] is not None:
            self.best = max(line["validation_AP"], self.best or 0.0)
        with contextlib.suppress(OSError), (self.folder / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")  # one call: a reader finds whole lines
        self.loggers.epoch(line)

    def _write(self, **state: Any) -> None:
        self.written = time.time()
        content = {"run": self.name, "started": self.started, "at": self.written, "pid": os.getpid(), **state}
        new = self.folder / f".{PROGRESS}"
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(content), encoding="utf-8")
            new.replace(self.folder / PROGRESS)


@dataclass(frozen=True)
class Running:
    """A run that is being done, or was when its process died.

    Attributes:
        folder: where its record will be.
        state: what ``progress.json`` says.
        history: of its epochs so far, the last line as JSON; None: there is none.
        silent: seconds since the run or its lock gave a sign of life.
    """

    folder: Path
    state: dict[str, Any]
    history: dict[str, Any] | None
    silent: float

    @property
    def lives(self) -> bool:
        """Whether its process still renews the lock."""
        return self.silent < LEASE_SECONDS


def find_running(results: Path) -> Iterator[Running]:
    """The runs at work below a results folder, sorted by path; of those of killed processes what they left."""
    for path in sorted(results.glob(f"**/.*.part/{PROGRESS}")):
        name = _SCRATCH.fullmatch(path.parent.name)
        if name is None:
            continue
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            seen = path.stat().st_mtime
        except (OSError, ValueError):  # ended just now
            continue
        folder = path.parent.with_name(name["name"])
        with contextlib.suppress(OSError):
            seen = max(seen, folder.with_name(f".{folder.name}.lock").stat().st_mtime)
        yield Running(folder, state, _last_line(path.with_name(HISTORY)), max(0.0, time.time() - seen))


def _last_line(path: Path) -> dict[str, Any] | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None
