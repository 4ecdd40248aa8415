"""Taking up what an unfinished tuning run kept, by all of its processes or by none."""

from __future__ import annotations

from typing import Any, Protocol

from glip_core.errors import InputError
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.distributed import DistributedContext
from odinw_bench.engine.micro_batch import is_out_of_memory


class Resumable(Protocol):
    """A tuning run between two epochs."""

    @property
    def epochs(self) -> int:
        """How many are done."""
        ...

    def accepts(self, state: dict[str, Any]) -> bool:
        """Whether a state is of this version of the program."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state up."""
        ...


def take_up(loop: Resumable, resume: Resume, distributed: DistributedContext) -> bool:
    """Resume from what was kept, where that can be used; returns whether it was.

    Processes that begin at different epochs would tune different weights together, and wait for each other in vain at
    the end: so each compares the number of epochs done with the leader's.

    Args:
        loop: a run that has done nothing yet.
        resume: where its state is kept.
        distributed: the processes that share the run; all call.

    Raises:
        InputError: this process finds another state than the leader.
    """
    state = resume.load()
    found = state is not None and loop.accepts(state)
    if state is not None and found:
        try:
            loop.restore(state)
        except Exception as error:
            if not is_out_of_memory(error):  # else every further try would fail like this one
                resume.clear()
            raise
    epochs = distributed.broadcast(loop.epochs)
    if epochs != loop.epochs:
        raise InputError(
            f"it finds a state after {loop.epochs} epochs and the leader one after {epochs}: all must see the same "
            "results folder; give the command again, or --force to begin from the start"
        )
    return found
