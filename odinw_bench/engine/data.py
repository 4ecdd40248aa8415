"""Images on their way into the network: decoded, resized, mirrored, padded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glip_core import Detector, Targets
from glip_core.preprocess import flip_boxes, pad_batch, resized_hw, scale_boxes, to_tensor
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split


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


@dataclass(frozen=True)
class PreparedImage:
    """An image ready for the network.

    Attributes:
        pixels: ``[1, 3, H, W]``, padded, in the processor's memory.
        hw: (height, width) before padding.
    """

    pixels: Tensor
    hw: tuple[int, int]

    @property
    def padded_hw(self) -> tuple[int, int]:
        """(height, width) after padding."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    def on(self, device: torch.device) -> Tensor:
        """The pixels on a device; to a GPU they go without waiting for what it is at."""
        return self.pixels.to(device, non_blocking=True)


def prepare_image(split: Split, view: ImageRequest, detector: Detector) -> PreparedImage:
    """Bring an image into the form the detector takes.

    Only the shorter side's length scales; the limit of the longer one stays, as in the official recipe.

    Raises:
        InputError: the image cannot be read.
    """
    picture = split.image(view.image_id)
    short = round(detector.config.image_short * view.scale)
    hw = resized_hw(picture.size, short, detector.config.image_long)
    pixels, _ = pad_batch([to_tensor(picture, hw, flip=view.flip)])
    return PreparedImage(pixels.pin_memory() if detector.device.type == "cuda" else pixels, hw)


def request_targets(split: Split, view: ImageRequest, hw: tuple[int, int], device: torch.device) -> Targets:
    """The ground truth of a view whose image was resized to (height, width) ``hw``."""
    boxes, labels = split.targets(view.image_id)
    width, height = split.size(view.image_id)
    scaled = scale_boxes(torch.from_numpy(boxes), (height, width), hw)
    if view.flip:
        scaled = flip_boxes(scaled, hw[1])
    return Targets(scaled.to(device), torch.from_numpy(labels).to(device))
