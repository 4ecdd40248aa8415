"""How detections are evaluated: COCO, LVIS, Flickr30k Entities, referring expressions, paired statistics.

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odinw_bench.metrics.coco import evaluate
    from odinw_bench.metrics.flickr import evaluate_flickr
    from odinw_bench.metrics.lvis import evaluate_lvis
    from odinw_bench.metrics.refexp import evaluate_refexp

_HOME = {"evaluate": "coco", "evaluate_flickr": "flickr", "evaluate_lvis": "lvis", "evaluate_refexp": "refexp"}

__all__ = ["evaluate", "evaluate_flickr", "evaluate_lvis", "evaluate_refexp"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"odinw_bench.metrics.{_HOME[name]}"), name)
    raise AttributeError(f"module 'odinw_bench.metrics' has no attribute '{name}'")
