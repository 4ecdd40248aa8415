"""Many specs: in this process, or in several."""

from __future__ import annotations

from collections.abc import Sequence

from glip_core.errors import InputError
from odinw_bench.engines.base import Engine, HowToRun, Outcome, Watcher
from odinw_bench.files import nearest

__all__ = ["ENGINES", "Engine", "HowToRun", "Outcome", "Watcher", "make_engine"]

ENGINES: Sequence[str] = ("local", "processes")


def make_engine(name: str, workers: int | None = None) -> Engine:
    """An engine.

    Args:
        name: ``local`` or ``processes``.
        workers: number of processes; None: one per GPU, on the CPU one per core, at most eight.

    Raises:
        InputError: an unknown name, or a number of workers that the engine cannot have.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers must be 1 or more, not {workers}")
    if name == "local":
        if workers not in (None, 1):
            raise InputError("the engine 'local' has one worker; for more give --engine processes")
        from odinw_bench.engines.local import LocalEngine

        return LocalEngine()
    if name == "processes":
        from odinw_bench.engines.processes import ProcessEngine

        return ProcessEngine(workers)
    raise InputError(f"unknown engine '{name}'{nearest(name, ENGINES)}")
