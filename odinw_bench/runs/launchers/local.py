"""Cells one after the other, in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import PATIENCE_SECONDS, BusyError
from odinw_bench.runs.launchers.base import Outcome, Watcher, do_cell
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.plan import Plan

if TYPE_CHECKING:
    from odinw_bench.engine.distributed import DistributedContext, TorchDistributed

GRACE_SECONDS = 5.0
"""How long a process that failed stays beside the leader: had that the same error, it writes its record meanwhile."""


class LocalEngine:
    """Does cells one after the other; those that another process is doing come last, and are waited for."""

    def workers_for(self, cells: Sequence[Cell], options: RunOptions) -> int:
        """One: see :class:`odinw_bench.runs.launchers.base.Engine`."""
        return 1

    def run(self, cells: Sequence[Cell], options: RunOptions, watch: Watcher) -> list[Outcome]:
        """See :class:`odinw_bench.runs.launchers.base.Engine`."""
        return self._run(cells, options, watch, None)

    def _run(
        self, cells: Sequence[Cell], options: RunOptions, watch: Watcher, distributed: DistributedContext | None
    ) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting = deque(range(len(cells)))
        busy = 0  # cells in a row that others hold
        while waiting:
            if busy >= len(waiting):
                time.sleep(PATIENCE_SECONDS)
                busy = 0
            index = waiting.popleft()
            watch.begin(index)
            try:
                outcomes[index] = do_cell(cells[index], options, partial(watch.say, index), distributed)
            except BusyError as error:
                busy += 1
                watch.say(index, f"waiting: {error}")
                waiting.append(index)
                continue
            busy = 0
            watch.end(index, outcomes[index])
        return [outcomes[index] for index in range(len(cells))]


class TorchrunEngine(LocalEngine):
    """Does cells one after the other, each by all processes that ``torchrun`` started.

    For runs that are too large or too long for one GPU: the batch is split among the processes, and the numbers are
    those of one process with the whole batch, up to rounding. An error in one process ends the command, which may
    then be given again: what is done is done, and a run that was begun resumes from its last epoch.
    """

    def __init__(self) -> None:
        self._distributed: TorchDistributed | None = None

    def agree(self, plan: Plan, options: RunOptions) -> Plan:
        """The plan with what is done as the leader found it, for all processes to do the same cells.

        Another command may end a cell between the looks of two processes.

        Args:
            plan: of this process.
            options: of the runs.

        Raises:
            ProcessFailedError: the cells of this process are not those of the leader.
        """
        from odinw_bench.engine.distributed import ProcessFailedError

        distributed, mine = self._join(options), [cell.digest for cell in plan.cells]
        digests, done = distributed.broadcast((mine, plan.done))
        if digests != mine:
            raise ProcessFailedError(
                f"process {distributed.rank} of {distributed.size}: it plans other runs than the leader: "
                "all need the same command, data and weights"
            )
        return replace(plan, done=done)

    def run(self, cells: Sequence[Cell], options: RunOptions, watch: Watcher) -> list[Outcome]:
        """See :class:`odinw_bench.runs.launchers.base.Engine`.

        Raises:
            ProcessFailedError: this process failed within a cell; it must end, so that torchrun ends the others.
        """
        from odinw_bench.engine.distributed import ProcessFailedError, local_device

        distributed = self._join(options)
        if distributed.is_main:
            _warn_of_idle_processes(cells, distributed.size, watch)
        try:
            here = replace(options, device=local_device(options.device))
            outcomes = self._run(cells, here, watch, distributed)
        except ProcessFailedError:  # no parting in order: that would be to wait for those that wait for this one
            if not distributed.is_main:
                time.sleep(GRACE_SECONDS)
            raise
        distributed.leave()
        distributed.close()
        return outcomes

    def _join(self, options: RunOptions) -> TorchDistributed:
        """The processes that torchrun started, joined once."""
        import torch

        from odinw_bench.engine.distributed import TorchDistributed, local_device

        if self._distributed is None:
            device = local_device(options.device)
            if device.startswith("cuda"):
                torch.cuda.set_device(device)
            self._distributed = TorchDistributed(device)
        return self._distributed


def _warn_of_idle_processes(cells: Sequence[Cell], size: int, watch: Watcher) -> None:
    """Say so, once, where a batch has fewer images than there are processes."""
    for index, cell in enumerate(cells):
        if cell.settings and cell.settings.batch < size:
            batch = cell.settings.batch
            idle = f"{size} processes share a batch of {batch}, so {size - batch} of them have nothing to do in tuning"
            watch.warn(index, f"{idle}; start {batch}, or give --set batch={size}, which is another recipe")
            return
