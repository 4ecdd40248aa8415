"""The detectors that can be run, tuned and compared."""

from odinw_bench.models.adapter import Adapter
from odinw_bench.models.base import AnyPrompt, Model, ModelFacts, ModelInput
from odinw_bench.models.hub.checkpoints import HUB_PREFIX
from odinw_bench.models.modes import MODES, TEXT_MODES, UNTUNED, find_mode, known_modes
from odinw_bench.models.registry import BUILT_IN, find_model, is_embedded, model_facts
from odinw_bench.models.tunable import Features, Packed, TunableModel

__all__ = [
    "BUILT_IN",
    "HUB_PREFIX",
    "MODES",
    "TEXT_MODES",
    "UNTUNED",
    "Adapter",
    "AnyPrompt",
    "Features",
    "Model",
    "ModelFacts",
    "ModelInput",
    "Packed",
    "TunableModel",
    "find_mode",
    "find_model",
    "is_embedded",
    "known_modes",
    "model_facts",
]
