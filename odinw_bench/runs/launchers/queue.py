"""Which cells of a grid wait, and what became of the others; shared by the engines that work side by side."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glip_core.errors import InputError
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import BusyError
from odinw_bench.runs.estimate import work_of
from odinw_bench.runs.launchers.base import Outcome, Watcher
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.simulate import longest_first

ATTEMPTS = 2
"""A cell whose process dies is done once more, in another process."""


@dataclass
class CellQueue:
    """The cells of a grid, the longest first: the last to end then keeps others waiting for the shortest time.

    Attributes:
        cells: all of them; everything else refers to their positions.
        waiting: positions, and the time (of the monotonic clock) before which not to ask again.
        deaths: how often a cell's process died.
        outcomes: what is finished.
    """

    cells: Sequence[Cell]
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    deaths: dict[int, int] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        order = longest_first([work_of(cell) for cell in self.cells])
        self.waiting.extend((index, 0.0) for index in order)

    @property
    def finished(self) -> bool:
        """Whether every cell has an outcome."""
        return len(self.outcomes) == len(self.cells)

    def take(self) -> int | None:
        """A cell whose time has come."""
        for _ in range(len(self.waiting)):
            index, not_before = self.waiting.popleft()
            if not_before <= time.monotonic():
                return index
            self.waiting.append((index, not_before))
        return None

    def options_of(self, index: int, options: RunOptions) -> RunOptions:
        """The options that a cell is done with: once more under ``--force``, it resumes all the same."""
        return replace(options, resumed=True) if index in self.deaths else options

    def put_off(self, index: int, seconds: float = 0.0) -> None:
        """Ask for this cell again, later."""
        self.waiting.append((index, time.monotonic() + seconds))

    def end(self, index: int, outcome: Outcome, watch: Watcher) -> None:
        """A cell is finished."""
        self.outcomes[index] = outcome
        watch.end(index, outcome)

    def died(self, index: int, options: RunOptions, reason: str, watch: Watcher) -> None:
        """The process of a cell died in the middle of it: once more, or a failure, which is recorded."""
        self.deaths[index] = self.deaths.get(index, 0) + 1
        if self.deaths[index] < ATTEMPTS:
            watch.warn(index, f"{reason}; once more")
            self.put_off(index)
            return
        from odinw_bench.runs.run import record_failure

        cell = self.cells[index]
        try:
            record_failure(cell, options.device, reason)
        except BusyError:  # who does it now will record it
            pass
        except (InputError, OSError) as error:  # a full disk, say, must not end the cells that write elsewhere
            reason = f"{reason}; nor can that be recorded: {error}"
        self.end(index, Outcome(cell.spec, None, reason), watch)

    def in_order(self) -> list[Outcome]:
        """The outcomes in the order of the cells."""
        return [self.outcomes[index] for index in range(len(self.cells))]
