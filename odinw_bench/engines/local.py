"""Cells one after the other, in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from odinw_bench.engines.base import PATIENCE_SECONDS, HowToRun, Outcome, Watcher, do_cell
from odinw_bench.records import BusyError
from odinw_bench.spec import RunSpec


class LocalEngine:
    """Does cells one after the other; those that another process is doing come last, and are waited for."""

    side_by_side = False

    def run(self, specs: Sequence[RunSpec], how: HowToRun, watch: Watcher) -> list[Outcome]:
        """See :class:`odinw_bench.engines.base.Engine`."""
        outcomes: dict[int, Outcome] = {}
        waiting = deque(range(len(specs)))
        busy = 0  # cells in a row that others hold
        while waiting:
            if busy >= len(waiting):
                time.sleep(PATIENCE_SECONDS)
                busy = 0
            index = waiting.popleft()
            watch.begin(index)
            try:
                outcomes[index] = do_cell(specs[index], how, partial(watch.say, index))
            except BusyError as error:
                busy += 1
                watch.say(index, f"waiting: {error}")
                waiting.append(index)
                continue
            busy = 0
            watch.end(index, outcomes[index])
        return [outcomes[index] for index in range(len(specs))]
