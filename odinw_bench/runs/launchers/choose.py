"""Which engine works through the cells: in this process, or in several."""

from __future__ import annotations

from collections.abc import Sequence

from glip_core.errors import InputError, nearest
from odinw_bench.models import ModelFacts
from odinw_bench.runs.launchers.base import Engine, Outcome, Watcher, under_torchrun
from odinw_bench.runs.options import RunOptions
from odinw_bench.utils.hardware import cores, pick_device

__all__ = ["ENGINES", "Engine", "Outcome", "Watcher", "choose_engine", "device_for", "make_engine"]

ENGINES: Sequence[str] = ("auto", "local", "processes", "ray", "torchrun")

_WORTH_IT = 4
"""From so many cells on, processes win back the seconds that they take to start."""

_MODEST = 4
"""Processes that are started without having been asked for."""


def choose_engine(options: RunOptions, models: Sequence[ModelFacts]) -> Engine:
    """The engine for some cells.

    Small models do not keep several cores busy, so many cells of theirs on a CPU are done side by side; the numbers
    are the same. Large ones are never multiplied unasked: each process holds its own copy.

    Args:
        options: ``engine``, ``workers`` and ``ray_address``, which alone chooses ``ray``; and what the cells run on.
        models: of each cell.

    Raises:
        InputError: see :func:`make_engine`; or Ray was asked for a numbered GPU.
    """
    name, workers, ray_address = options.engine, options.workers, options.ray_address
    if under_torchrun():
        if name not in ("auto", "torchrun") or workers is not None or ray_address is not None:
            raise InputError("under torchrun its processes share every cell: leave --engine, --workers, --ray-address")
        return make_engine("torchrun")
    if _is_ray(name, ray_address):
        from odinw_bench.runs.launchers.cluster import refuse_number

        name = "ray"
        refuse_number(options.device)
    if name != "auto":
        return make_engine(name, workers, ray_address=ray_address)
    if workers is not None:
        return make_engine("processes" if workers != 1 else "local", workers)
    number = min(cores(), _MODEST)
    small = all(facts.nano for facts in models)
    if options.device == "cpu" and small and len(models) >= _WORTH_IT and number > 1:
        return make_engine("processes", number)
    return make_engine("local")


def device_for(device: str, engine: str, ray_address: str | None) -> str:
    """The device that an engine's cells run on; see :func:`odinw_bench.utils.hardware.pick_device`.

    Of a Ray cluster that runs already its own GPUs count, not this computer's: the engine looks at them.

    Args:
        device: that was asked for.
        engine: see :func:`choose_engine`.
        ray_address: likewise.

    Raises:
        InputError: an unknown device, or a GPU that is not there.
    """
    if _is_ray(engine, ray_address) and (device == "auto" or device.startswith("cuda")):
        from odinw_bench.runs.launchers.cluster import joined_cluster, refuse_number

        refuse_number(device)
        if joined_cluster(ray_address) and device in ("auto", "cuda"):
            return device
    return pick_device(device)


def _is_ray(engine: str, ray_address: str | None) -> bool:
    return engine == "ray" or (engine == "auto" and ray_address is not None)


def make_engine(name: str, workers: int | None = None, *, ray_address: str | None = None) -> Engine:
    """An engine by name.

    Args:
        name: ``local``, ``processes`` or ``ray``.
        workers: number of processes; None: one per GPU, on the CPU one per core, at most eight; with Ray as many
            as the cluster has room for.
        ray_address: of a cluster that runs already; None: Ray starts one here.

    Raises:
        InputError: an unknown name, or a number of workers that the engine cannot have.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers must be 1 or more, not {workers}")
    if ray_address is not None and name != "ray":
        raise InputError(f"--ray-address is for the engine 'ray', not '{name}'")
    if name == "local":
        if workers not in (None, 1):
            raise InputError("the engine 'local' has one worker; for more give --engine processes")
        from odinw_bench.runs.launchers.local import LocalEngine

        return LocalEngine()
    if name == "processes":
        from odinw_bench.runs.launchers.processes import ProcessEngine

        return ProcessEngine(workers)
    if name == "torchrun":
        if not under_torchrun():
            raise InputError("the engine 'torchrun' needs it: torchrun --nproc-per-node N -m odinw_bench run ...")
        from odinw_bench.runs.launchers.local import TorchrunEngine

        return TorchrunEngine()
    if name == "ray":
        from odinw_bench.runs.launchers.cluster import RayEngine

        return RayEngine(workers, ray_address)
    raise InputError(f"unknown engine '{name}'{nearest(name, ENGINES)}")
