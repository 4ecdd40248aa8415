"""Images on their way into the network, and their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glip_core import Targets
from glip_core.preprocess import flip_boxes, scale_boxes
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.models import Model, ModelInput


@dataclass(frozen=True)
class ImageRequest:
    """One way of showing an image to the network.

    Attributes:
        image_id: which image.
        scale: length of the shorter side, in parts of the model's own.
        flip: mirrored left to right.
    """

    image_id: ImageId
    scale: float = 1.0
    flip: bool = False


def prepare_image(split: Split, request: ImageRequest, model: Model) -> ModelInput:
    """Bring an image into the form that the model takes.

    Raises:
        InputError: the image cannot be read.
    """
    return model.prepare(split.image(request.image_id), scale=request.scale, flip=request.flip)


def request_targets(split: Split, request: ImageRequest, hw: tuple[int, int], device: torch.device) -> Targets:
    """The ground truth of a request whose image was resized to (height, width) ``hw``."""
    boxes, labels = split.targets(request.image_id)
    width, height = split.size(request.image_id)
    scaled = scale_boxes(torch.from_numpy(boxes), (height, width), hw)
    if request.flip:
        scaled = flip_boxes(scaled, hw[1])
    return Targets(scaled.to(device), torch.from_numpy(labels).to(device))
