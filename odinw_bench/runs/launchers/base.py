"""What all engines share: what they are asked, what they answer, and how one cell is done."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from glip_core.errors import InputError
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import BusyError
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.record import RunRecord
from odinw_bench.runs.spec import RunSpec

if TYPE_CHECKING:
    from odinw_bench.engine.distributed import DistributedContext  # brings torch: seconds that --help need not pay


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    Attributes:
        spec: of the cell.
        record: its record; None where it failed.
        error: one line; None where it did not.
        unusable: the error is the user's to remedy.
        details: the traceback of an error that is not.
    """

    spec: RunSpec
    record: RunRecord | None
    error: str | None = None
    unusable: bool = False
    details: str | None = None


class Watcher(Protocol):
    """Is notified of what happens to the cells, by their position in the list that was given to the engine."""

    def begin(self, index: int) -> None:
        """Work on a cell begins."""

    def say(self, index: int, text: str) -> None:
        """Something happened within a cell."""

    def warn(self, index: int, text: str) -> None:
        """Something happened within a cell that people should know of."""

    def end(self, index: int, outcome: Outcome) -> None:
        """A cell is done or has failed."""


class Engine(Protocol):
    """Does many cells."""

    def run(self, cells: Sequence[Cell], options: RunOptions, watch: Watcher) -> list[Outcome]:
        """Do all cells; one that fails does not stop the others. Outcomes come in the order of the cells."""
        ...

    def workers_for(self, cells: Sequence[Cell], options: RunOptions) -> int:
        """How many cells are done at a time; 1 also where that is not known before."""
        ...


def under_torchrun() -> bool:
    """Whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def do_cell(
    cell: Cell, options: RunOptions, say: Callable[[str], None], distributed: DistributedContext | None = None
) -> Outcome:
    """Do one cell in this process, or this process's part of it.

    Raises:
        BusyError: another process is doing it.
        ProcessFailedError: this process, one of several, failed by itself.
    """
    from odinw_bench.engine.distributed import SINGLE_PROCESS, ProcessFailedError
    from odinw_bench.runs.run import describe, execute

    try:
        record = execute(cell, options, distributed or SINGLE_PROCESS, say)
    except (BusyError, ProcessFailedError):
        raise
    except Exception as error:
        unusable = isinstance(error, InputError)
        return Outcome(cell.spec, None, describe(error), unusable, None if unusable else traceback.format_exc())
    return Outcome(cell.spec, record)
