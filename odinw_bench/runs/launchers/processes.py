"""Cells in several processes of this computer, one GPU each where there are several."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from glip_core.memory import keep_freed_memory
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import PATIENCE_SECONDS, BusyError
from odinw_bench.runs.launchers.base import Outcome, Watcher, do_cell
from odinw_bench.runs.launchers.queue import CellQueue
from odinw_bench.runs.options import RunOptions
from odinw_bench.utils.hardware import cores

MAX_WORKERS = 8


class ProcessEngine:
    """Hands cells to worker processes as these become free.

    Workers share nothing but the results folder: whoever has the lock of a record does the cell. When this process
    is asked to end (SIGTERM, as by ``kill``, Slurm or a container), its workers are ended; when it is killed, they
    finish what they do and end.

    Args:
        workers: how many; None: one per GPU, on the CPU one per core, at most :data:`MAX_WORKERS`.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    def workers_for(self, cells: Sequence[Cell], options: RunOptions) -> int:
        """See :class:`odinw_bench.runs.launchers.base.Engine`."""
        return min(self.workers or _default_workers(_devices(options.device)), max(len(cells), 1))

    def run(self, cells: Sequence[Cell], options: RunOptions, watch: Watcher) -> list[Outcome]:
        """See :class:`odinw_bench.runs.launchers.base.Engine`."""
        devices = _devices(options.device)
        number = self.workers_for(cells, options)
        queue = CellQueue(cells)
        crew = [_start(replace(options, device=devices[i % len(devices)]), _threads(number)) for i in range(number)]
        try:
            with _stopped_by_terminate():
                while not queue.finished:
                    for member in crew:
                        _give(member, queue, watch)
                    inboxes = [member.connection for member in crew if member.index is not None]
                    if not inboxes:  # all that is left is done by other processes
                        time.sleep(PATIENCE_SECONDS / 4)
                        continue
                    ready = wait(inboxes, timeout=PATIENCE_SECONDS)
                    for position, member in enumerate(crew):
                        if member.connection in ready and not _receive(member, queue, watch):
                            crew[position] = _start(member.options, _threads(number))
        finally:
            for member in crew:
                _dismiss(member)
        return queue.in_order()


@contextmanager
def _stopped_by_terminate() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that this process ends its workers; by default it would die at once."""
    mine = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not mine or threading.current_thread() is not threading.main_thread():  # handlers are the main thread's matter
        yield
        return

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass
class _Member:
    """A worker process, seen from here."""

    process: BaseProcess
    connection: Connection
    options: RunOptions
    index: int | None = None


def _give(member: _Member, queue: CellQueue, watch: Watcher) -> None:
    """Hand a cell to a worker that has none."""
    if member.index is not None or (index := queue.take()) is None:
        return
    member.index = index
    watch.begin(index)
    with suppress(BrokenPipeError):  # it died while idle: the next look at its inbox tells
        member.connection.send((queue.cells[index], queue.options_of(index, member.options)))


def _receive(member: _Member, queue: CellQueue, watch: Watcher) -> bool:
    """Read one message of a worker; False when it is dead."""
    index = member.index
    assert index is not None
    try:
        kind, content = member.connection.recv()
    except (EOFError, OSError):
        _bury(member, index, queue, watch)
        return False
    if kind == "say":
        watch.say(index, content)
        return True
    member.index = None
    if kind == "busy":
        watch.say(index, f"waiting: {content}")
        queue.put_off(index, PATIENCE_SECONDS)
    else:
        queue.end(index, content, watch)
    return True


def _bury(member: _Member, index: int, queue: CellQueue, watch: Watcher) -> None:
    """A worker died in the middle of a cell."""
    member.process.join()
    member.connection.close()
    code = member.process.exitcode or 0
    reason = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with code {code}"
    if code == -signal.SIGKILL:
        reason += " (out of memory?)"
    queue.died(index, member.options, reason, watch)


def _start(options: RunOptions, threads: int) -> _Member:
    context = multiprocessing.get_context("spawn")  # a fork would inherit CUDA and thread pools in any state
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, threads), daemon=True)
    process.start()
    theirs.close()  # so that the worker's death closes the pipe
    return _Member(process, ours, options)


def _dismiss(member: _Member) -> None:
    """End a worker: idle ones by asking, those at work (this run was interrupted) at once."""
    if member.index is None:
        with suppress(BrokenPipeError, OSError):
            member.connection.send(None)
    else:
        member.process.terminate()
    member.process.join(timeout=10)
    if member.process.is_alive():
        member.process.kill()
        member.process.join()
    member.connection.close()


def _work(connection: Connection, threads: int) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    import torch

    keep_freed_memory()
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError, OSError):  # the parent is gone: nothing left to do
        while (task := connection.recv()) is not None:
            cell, options = task
            try:
                connection.send(("end", do_cell(cell, options, _sayer(connection))))
            except BusyError as error:
                connection.send(("busy", str(error)))


def _sayer(connection: Connection) -> Callable[[str], None]:
    def say(text: str) -> None:
        with suppress(BrokenPipeError):  # the parent is gone: this cell is finished all the same
            connection.send(("say", text))

    return say


def _devices(device: str) -> list[str]:
    """All GPUs where no particular one was asked for."""
    if device != "cuda":
        return [device]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def _default_workers(devices: Sequence[str]) -> int:
    return len(devices) if devices[0].startswith("cuda") else min(cores(), MAX_WORKERS)


def _threads(workers: int) -> int:
    return max(1, cores() // workers)
