"""GLIP in Hugging Face transformers: importing this registers it with the Auto classes.

>>> import glip_core.hf
>>> from transformers import AutoModelForZeroShotObjectDetection
>>> model = AutoModelForZeroShotObjectDetection.from_pretrained("FOLDER")  # doctest: +SKIP

``odinw-bench models convert`` writes such folders, from official checkpoints and from the embedded models.
"""

from glip_core.hf.config import GlipConfig
from glip_core.hf.image_processor import GlipImageProcessor
from glip_core.hf.model import GlipForObjectDetection
from glip_core.hf.outputs import GlipObjectDetectionOutput
from glip_core.hf.processor import GlipProcessor
from glip_core.hf.register import convert

__all__ = [
    "GlipConfig",
    "GlipForObjectDetection",
    "GlipImageProcessor",
    "GlipObjectDetectionOutput",
    "GlipProcessor",
    "convert",
]
