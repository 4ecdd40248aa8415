"""The detectors: from pixels and a prompt to detections or losses."""

from glip_core.detector.base import Detector
from glip_core.detector.dyhead import DyHead
from glip_core.detector.glip import GLIP
from glip_core.modeling.block import Block

__all__ = ["GLIP", "Block", "Detector", "DyHead"]
