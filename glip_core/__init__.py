"""GLIP and DyHead in pure PyTorch: the official numbers from the official checkpoints, without their compiler.

>>> import glip_core
>>> detector = glip_core.load("glip-t")                               # doctest: +SKIP
>>> prompt = glip_core.Prompt.from_classes(["fish", "stingray"])
>>> detector.predict("photo.jpg", prompt)                             # doctest: +SKIP

Names are loaded when they are first used: importing the package alone does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glip_core import tuning
    from glip_core.builder import assemble, build, load
    from glip_core.checkpoint import load_official_state_dict
    from glip_core.config import PRESETS, DetectorConfig
    from glip_core.detector import GLIP, Detector, DyHead
    from glip_core.detector.grounding import GroundedPhrase, ground
    from glip_core.errors import InputError
    from glip_core.memory import keep_freed_memory
    from glip_core.prompt import Prompt
    from glip_core.types import Detections, EncodedPrompt, RawOutputs, Targets, TextFeatures

_HOME = {
    "assemble": "builder",
    "build": "builder",
    "load": "builder",
    "load_official_state_dict": "checkpoint",
    "PRESETS": "config",
    "DetectorConfig": "config",
    "GLIP": "detector",
    "Detector": "detector",
    "DyHead": "detector",
    "InputError": "errors",
    "GroundedPhrase": "detector.grounding",
    "ground": "detector.grounding",
    "keep_freed_memory": "memory",
    "Prompt": "prompt",
    "Detections": "types",
    "EncodedPrompt": "types",
    "RawOutputs": "types",
    "Targets": "types",
    "TextFeatures": "types",
}
_MODULES = ("checkpoint", "config", "preprocess", "tuning")

__all__ = [
    "GLIP",
    "PRESETS",
    "Detections",
    "Detector",
    "DetectorConfig",
    "DyHead",
    "EncodedPrompt",
    "GroundedPhrase",
    "InputError",
    "Prompt",
    "RawOutputs",
    "Targets",
    "TextFeatures",
    "assemble",
    "build",
    "ground",
    "keep_freed_memory",
    "load",
    "load_official_state_dict",
    "tuning",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"glip_core.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"glip_core.{name}")
    raise AttributeError(f"module 'glip_core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
