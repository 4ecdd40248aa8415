"""What looks at the images: the detectors that can be run, tuned and compared."""

from odinw_bench.models.base import Adapter
from odinw_bench.models.registry import (
    BUILT_IN,
    MODES,
    TEXT_MODES,
    UNTUNED,
    ModelFacts,
    find_adapter,
    model_facts,
)

__all__ = ["BUILT_IN", "MODES", "TEXT_MODES", "UNTUNED", "Adapter", "ModelFacts", "find_adapter", "model_facts"]
