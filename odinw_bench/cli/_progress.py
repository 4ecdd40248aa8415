"""How a grid is coming along: a bar on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from odinw_bench.cli._console import number, write_line
from odinw_bench.runs.launchers import Outcome
from odinw_bench.runs.record import RunRecord
from odinw_bench.utils.escape import visible
from odinw_bench.utils.text import duration

LINE_SECONDS = 30.0
"""When piped, a run in progress says where it is this often at most."""


def _result(record: RunRecord) -> str:
    return f"{record.headline} {number(record.result)}"


class GridProgress:
    """Watches an engine; see :class:`odinw_bench.runs.launchers.base.Watcher`.

    Args:
        names: of the cells.
        show: whether anything is shown.
    """

    def __init__(self, names: Sequence[str], *, show: bool) -> None:
        self.names, self.ended = names, 0
        self.errors: dict[str, list[str]] = {}
        terminal = sys.stderr.isatty()
        self.lines = show and not terminal
        self.last_line = self.started = time.monotonic()
        self.bar: Progress | None = None
        if show and terminal:
            self.bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> GridProgress:
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task("", total=len(self.names), left="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def begin(self, index: int) -> None:
        """Work on a cell begins."""
        self.say(index, "")

    def say(self, index: int, text: str) -> None:
        """Something happened within a cell."""
        if self.bar:
            self.bar.update(self.task, description=visible(f"{self.names[index]} {text}".strip()))
        elif self.lines and text and (text.startswith("epoch") or time.monotonic() > self.last_line + LINE_SECONDS):
            self._line(f"      {self.names[index]}: {text}")  # a line an epoch at least

    def warn(self, index: int, text: str) -> None:
        """Something happened within a cell that people should know of."""
        line = f"warning: {self.names[index]}: {text}"
        if self.bar:
            self.bar.console.print(visible(line), emoji=False, markup=False, highlight=False)
        elif self.lines:
            self._line(line)

    def end(self, index: int, outcome: Outcome) -> None:
        """A cell is done or has failed."""
        self.ended += 1
        if self.bar:
            self.bar.update(self.task, advance=1, left=self._left())
        if outcome.error is not None:
            names = self.errors.setdefault(outcome.error, [])
            names.append(self.names[index])
            if self.lines and len(names) == 1:  # at once, so that a grid that runs for days can be fixed
                self._line(f"error: {self.names[index]}: {outcome.error}")
            elif self.lines:
                self._line(f"[{self.ended}/{len(self.names)}] {self.names[index]}: failed like {names[0]}")
        elif self.lines and outcome.record is not None:
            self._line(
                f"[{self.ended}/{len(self.names)}] {self.names[index]}: {_result(outcome.record)}{self._left(', ')}"
            )

    def print_errors(self) -> None:
        """Print at the end the errors that were not printed at once."""
        if self.lines:
            return
        for error, (first, *others) in self.errors.items():
            more = f" and {len(others)} more" if others else ""
            write_line(f"error: {first}{more}: {error}", file=sys.stderr)

    def _left(self, before: str = "") -> str:
        """How long the other cells may take, if they take as long as those that ended; empty: none is left."""
        left = len(self.names) - self.ended
        if not left:
            return ""
        return f"{before}about {duration((time.monotonic() - self.started) / self.ended * left)} left"

    def _line(self, text: str) -> None:
        self.last_line = time.monotonic()
        write_line(text, file=sys.stderr, flush=True)
