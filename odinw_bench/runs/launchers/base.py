"""What all engines share: what they are asked, what they answer, and how one cell is done."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glip_core.errors import InputError
from odinw_bench.engine.cache_settings import MEMORY_ONLY, CacheSettings
from odinw_bench.runs.record import BusyError
from odinw_bench.runs.spec import RunSpec

if TYPE_CHECKING:
    from odinw_bench.engine.distributed import DistributedContext  # brings torch: seconds that --help need not pay

PATIENCE_SECONDS = 2.0
"""How long to wait before asking again for a cell that another process is doing."""


@dataclass(frozen=True)
class HowToRun:
    """How cells are done; nothing here changes their numbers.

    Attributes:
        results: folder of the records.
        data_root: folder of the official data.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        force: do finished runs again.
        cache: budget of frozen features.
        checkpointing: trade time for memory while tuning.
    """

    results: Path
    data_root: Path | None = None
    device: str = "cpu"
    force: bool = False
    cache: CacheSettings = MEMORY_ONLY
    checkpointing: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    Attributes:
        spec: the cell.
        record: its record; None where it failed.
        error: one line; None where it did not.
        unusable: the error is the user's to mend.
        details: the traceback of an error that is not.
    """

    spec: RunSpec
    record: dict[str, Any] | None
    error: str | None = None
    unusable: bool = False
    details: str | None = None


class Watcher(Protocol):
    """Told what happens to the cells, by their position in the list that was given to the engine."""

    def begin(self, index: int) -> None:
        """Work on a cell begins."""

    def say(self, index: int, text: str) -> None:
        """Something happened within a cell."""

    def warn(self, index: int, text: str) -> None:
        """Something happened within a cell that people should know of."""

    def end(self, index: int, outcome: Outcome) -> None:
        """A cell is done or has failed."""


class Engine(Protocol):
    """Does many cells.

    Attributes:
        side_by_side: several at a time; it pays to begin with the longest.
    """

    side_by_side: bool

    def run(self, specs: Sequence[RunSpec], how: HowToRun, watch: Watcher) -> list[Outcome]:
        """Do all cells; one that fails does not stop the others. Outcomes come in the order of the specs."""
        ...


def under_torchrun() -> bool:
    """Whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def do_cell(
    spec: RunSpec, how: HowToRun, say: Callable[[str], None], distributed: DistributedContext | None = None
) -> Outcome:
    """Do one cell in this process, or this process's part of it.

    Raises:
        BusyError: another process is doing it.
    """
    from odinw_bench.engine.distributed import SINGLE_PROCESS
    from odinw_bench.runs.run import describe, run

    try:
        record = run(
            spec,
            how.results,
            data_root=how.data_root,
            device=how.device,
            force=how.force,
            cache=how.cache,
            checkpointing=how.checkpointing,
            distributed=distributed or SINGLE_PROCESS,
            say=say,
        )
    except BusyError:
        raise
    except Exception as error:
        unusable = isinstance(error, InputError)
        return Outcome(spec, None, describe(error), unusable, None if unusable else traceback.format_exc())
    return Outcome(spec, record)
