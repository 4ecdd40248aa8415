"""The ODinW benchmark: which way of adapting a language-pre-trained detector to use, what it gives, what it costs.

Names are loaded when they are first used: importing the package alone does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odinw_bench.advice import advise
    from odinw_bench.datasets.fewshot import pick_shots
    from odinw_bench.datasets.registry import load_task
    from odinw_bench.metrics.coco import evaluate
    from odinw_bench.models import Adapter
    from odinw_bench.runs.loading import TunedDetector, load_run
    from odinw_bench.runs.record import RunRecord
    from odinw_bench.runs.run import run
    from odinw_bench.runs.spec import RunSpec

__version__ = "0.2.0"

_HOME = {
    "Adapter": "models",
    "RunRecord": "runs.record",
    "RunSpec": "runs.spec",
    "TunedDetector": "runs.loading",
    "advise": "advice",
    "evaluate": "metrics.coco",
    "load_run": "runs.loading",
    "load_task": "datasets.registry",
    "pick_shots": "datasets.fewshot",
    "run": "runs.run",
}

__all__ = [
    "Adapter",
    "RunRecord",
    "RunSpec",
    "TunedDetector",
    "advise",
    "evaluate",
    "load_run",
    "load_task",
    "pick_shots",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"odinw_bench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'odinw_bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__})
