"""Cells on a Ray cluster: one that runs already, or one of this computer alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.memory import keep_freed_memory
from odinw_bench.models import HUB_PREFIX
from odinw_bench.models.hub.checkpoints import recorded_source
from odinw_bench.models.registry import ONNX
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import PATIENCE_SECONDS, BusyError
from odinw_bench.runs.launchers.base import Outcome, Watcher, do_cell
from odinw_bench.runs.launchers.queue import CellQueue
from odinw_bench.runs.options import RunOptions
from odinw_bench.utils.hardware import cores
from odinw_bench.utils.text import shorten_text


class RayEngine:
    """Hands cells to Ray, which places each on a free GPU, or on a free core where the device is the CPU.

    All nodes must see the results folder (and the data) under the same path and have this program installed. As
    with the other engines, whoever has the lock of a record does the cell, so that several grids may share both.

    Args:
        workers: at most so many cells at a time; None: as many as the cluster has room for.
        address: of a cluster that runs already (``HOST:PORT``, or ``auto`` for one of this computer); None: the
            environment variable ``RAY_ADDRESS``, else a new one for the time of the grid.

    Raises:
        InputError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise InputError("the engine 'ray' needs Ray: pip install 'odinw-bench[ray]'") from error
        self.workers = workers
        self.address = joined_cluster(address)

    def workers_for(self, cells: Sequence[Cell], options: RunOptions) -> int:
        """As many as were asked for; see :class:`odinw_bench.runs.launchers.base.Engine`."""
        return min(self.workers or 1, max(len(cells), 1))

    def run(self, cells: Sequence[Cell], options: RunOptions, watch: Watcher) -> list[Outcome]:
        """See :class:`odinw_bench.runs.launchers.base.Engine`.

        Raises:
            InputError: there is no cluster at the address, or it has no GPU where one was asked for; or a numbered one
                was.
        """
        import ray

        refuse_number(options.device)
        queue = CellQueue([_everywhere(cell) for cell in cells])
        if not cells:
            return []
        _connect(self.address)
        try:
            self._work(queue, _same_everywhere(options), watch)
        finally:
            ray.shutdown()
        return queue.in_order()

    def _work(self, queue: CellQueue, options: RunOptions, watch: Watcher) -> None:
        import ray

        device, places, needs = _room(options.device, self.workers)
        options = replace(options, device=device)
        remote = ray.remote(max_retries=0, **needs)(_cell)  # a death is counted here, where it can be reported
        running: dict[Any, int] = {}
        try:
            while not queue.finished:
                while len(running) < places and (index := queue.take()) is not None:
                    watch.begin(index)
                    running[remote.remote(queue.cells[index], queue.options_of(index, options))] = index
                if not running:  # all that is left is done by other processes
                    time.sleep(PATIENCE_SECONDS / 4)
                    continue
                done, _ = ray.wait(list(running), num_returns=1, timeout=PATIENCE_SECONDS)
                for reference in done:
                    _receive(reference, running.pop(reference), queue, options, watch)
        finally:
            for reference in running:  # interrupted: what was begun resumes from its last epoch next time
                with suppress(Exception):
                    ray.cancel(reference, force=True)


def _cell(cell: Cell, options: RunOptions) -> tuple[str, Any]:
    """The work of one cell, in a process of the cluster."""
    keep_freed_memory()
    try:
        return "end", do_cell(cell, options, lambda text: None)
    except BusyError as error:
        return "busy", str(error)


def _receive(reference: Any, index: int, queue: CellQueue, options: RunOptions, watch: Watcher) -> None:
    import ray

    try:
        kind, content = ray.get(reference)
    except ray.exceptions.RayError as error:
        queue.died(index, options, f"its process on the cluster died ({type(error).__name__})", watch)
        return
    if kind == "busy":
        watch.say(index, f"waiting: {content}")
        queue.put_off(index, PATIENCE_SECONDS)
    else:
        queue.end(index, content, watch)


def _connect(address: str | None) -> None:
    import logging

    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        if address is None:
            ray.init(num_cpus=cores(), include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = shorten_text(str(error))
        raise InputError(f"no Ray cluster at '{address}': {reason}; 'ray start --head' begins one") from error


def _everywhere(cell: Cell) -> Cell:
    """A cell whose paths mean the same wherever a process was started."""
    weights, spec = cell.weights, cell.spec
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    if spec.model.startswith((HUB_PREFIX, ONNX)):
        spec = replace(spec, model=recorded_source(spec.model))
    return replace(cell, spec=spec, folder=cell.folder.resolve(), weights=weights)


def _same_everywhere(options: RunOptions) -> RunOptions:
    """Options whose paths mean the same wherever a process was started."""
    cache = options.cache
    if cache.folder is not None:
        cache = replace(cache, folder=cache.folder.resolve())
    return replace(options, results=options.results.resolve(), cache=cache)


def refuse_number(device: str) -> None:
    """Ray shows a run the GPU that it gives it and no other, which then has the number 0 there, whatever it is.

    Raises:
        InputError: a numbered GPU was asked for.
    """
    if device.startswith("cuda:"):
        raise InputError(f"--device {device}: Ray gives each run a GPU by itself; use --device cuda")


def joined_cluster(address: str | None) -> str | None:
    """The address of a cluster that runs already, whose computers may have GPUs that this one lacks; None: a new one.

    Args:
        address: that was asked for.
    """
    return address or os.environ.get("RAY_ADDRESS") or None


def _room(device: str, workers: int | None) -> tuple[str, int, dict[str, float]]:
    """The device of each cell, how many cells fit at a time, and what each takes of the cluster."""
    import ray

    has: Callable[[str], int] = lambda kind: int(ray.cluster_resources().get(kind, 0))  # noqa: E731
    gpus = has("GPU")
    if device == "cuda" or (device == "auto" and gpus):
        if not gpus:
            raise InputError(f"--device {device}: the Ray cluster has no GPU")
        return "cuda", min(workers or gpus, gpus), {"num_gpus": 1}
    cpus = max(1, has("CPU"))
    places = min(workers or cpus, cpus)
    return "cpu" if device == "auto" else device, places, {"num_cpus": cpus // places}
