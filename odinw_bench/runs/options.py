"""How runs are done: where records go, on which device, by how many processes. Nothing here changes a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from odinw_bench.engine.cache_settings import MEMORY_ONLY, CacheSettings
from odinw_bench.metrics.extra import extra_metrics
from odinw_bench.runs.loggers import find_logger


@dataclass(frozen=True)
class RunOptions:
    """The options of a run that leave its digest alone; made once, from the command line or by :func:`run`.

    Attributes:
        results: folder of the records.
        data_root: folder of the official data; see :func:`odinw_bench.datasets.sources.open_split`.
        device: ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` on a Ray cluster that is joined.
        force: do finished runs again, and begin unfinished ones from the start.
        cache: budget of frozen features.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        tf32: let GPUs round the factors of float32 products to TF32: faster, less exact.
        lenient_weights: ignore names in the file of weights that the model has no use for.
        engine: what works through several cells, one of :data:`odinw_bench.runs.launchers.ENGINES`.
        workers: number of processes of that engine; None: as it thinks best.
        ray_address: of a Ray cluster to join; None: a new one where the engine is ``ray``.
        quiet: show no progress.
        metrics: metrics beside COCO's, as ``PACKAGE.MODULE:FUNCTION``; see :mod:`odinw_bench.metrics.extra`.
        log: where losses and results are also written, by name; see :mod:`odinw_bench.runs.loggers`.
        resumed: with ``force``: this very command began the run, in a process that died; what that kept is taken up.

    Raises:
        InputError: there is no such metric or logger, or its package is not installed.
    """

    results: Path = field(default_factory=lambda: Path("results"))
    data_root: Path | None = None
    device: str = "cpu"
    force: bool = False
    cache: CacheSettings = MEMORY_ONLY
    checkpointing: bool = False
    tf32: bool = False
    lenient_weights: bool = False
    engine: str = "auto"
    workers: int | None = None
    ray_address: str | None = None
    quiet: bool = False
    metrics: Sequence[str] = ()
    log: Sequence[str] = ()
    resumed: bool = False

    def __post_init__(self) -> None:
        if self.metrics:  # a slip is noticed before hours of tuning
            extra_metrics(self.metrics)
        for name in self.log:
            find_logger(name)


DEFAULTS = RunOptions()
"""Records in ``./results``, on the CPU."""
