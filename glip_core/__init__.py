"""GLIP and DyHead in pure PyTorch: the official numbers from the official checkpoints, without their compiler.

>>> import glip_core
>>> detector = glip_core.load("glip-t")                               # doctest: +SKIP
>>> prompt = glip_core.Prompt.from_classes(["fish", "stingray"])
>>> detector.predict("photo.jpg", prompt)                             # doctest: +SKIP
"""

from glip_core import tuning
from glip_core.builder import assemble, build, load
from glip_core.checkpoint import load_official_state_dict
from glip_core.config import PRESETS, DetectorConfig
from glip_core.detector import GLIP, Detector, DyHead
from glip_core.errors import InputError
from glip_core.prompt import Prompt
from glip_core.structures import Detections, RawOutputs, Targets, TextFeatures

__all__ = [
    "GLIP",
    "PRESETS",
    "Detections",
    "Detector",
    "DetectorConfig",
    "DyHead",
    "InputError",
    "Prompt",
    "RawOutputs",
    "Targets",
    "TextFeatures",
    "assemble",
    "build",
    "load",
    "load_official_state_dict",
    "tuning",
]
