"""The Auto classes of transformers get to know GLIP, and folders that they load are made."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES

from glip_core.detector import Detector
from glip_core.errors import InputError
from glip_core.hf.config import GlipConfig
from glip_core.hf.image_processor import GlipImageProcessor
from glip_core.hf.model import GlipForObjectDetection
from glip_core.hf.processor import GlipProcessor

AutoConfig.register(GlipConfig.model_type, GlipConfig, exist_ok=True)
AutoModelForZeroShotObjectDetection.register(GlipConfig, GlipForObjectDetection, exist_ok=True)
AutoImageProcessor.register(
    GlipConfig,
    slow_image_processor_class=GlipImageProcessor,
    fast_image_processor_class=GlipImageProcessor,  # or it would be looked for, and a warning given
    exist_ok=True,
)
AutoProcessor.register(GlipConfig, GlipProcessor, exist_ok=True)
# The pipeline compares the model's class with these names alone, and would log an error.
MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES[GlipConfig.model_type] = GlipForObjectDetection.__name__


def convert(detector: Detector, folder: str | Path) -> GlipForObjectDetection:
    """Write a detector as a folder that ``from_pretrained`` and ``pipeline`` load.

    Args:
        detector: a GLIP, such as ``glip_core.load("glip-t", "checkpoint.pth")``.
        folder: config, safetensors, tokenizer, image processor and a model card go there; it must be new or empty.

    Returns:
        the model that was written.

    Raises:
        InputError: the detector has a class layer in place of a prompt or a vocabulary of its own, or the folder holds
            something.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"'{folder}' exists and is not an empty folder; give another one")
    model = GlipForObjectDetection.from_detector(detector)
    model.save_pretrained(folder)
    processor = GlipProcessor.from_detector(model.detector)
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)  # where the pipeline looks for it
    return model
