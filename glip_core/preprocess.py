"""Photos -> network input, and boxes back: the official test-time transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)
PAD_MULTIPLE = 32


def resized_hw(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """The size an image is brought to: shorter side ``short``, unless the longer would exceed ``long``.

    Args:
        size: (width, height), as PIL gives it.
        short: wanted length of the shorter side.
        long: largest length of the longer side.

    Returns:
        (height, width), at least 1 pixel each.
    """
    width, height = size
    low, high = min(width, height), max(width, height)
    if high / low * short > long:
        short = round(long * low / high)
    short = max(short, 1)
    if low == short:
        return height, width
    if width < height:
        return max(int(short * height / width), 1), short
    return short, max(int(short * width / height), 1)


def to_tensor(image: Image.Image, hw: tuple[int, int], *, flip: bool = False) -> Tensor:
    """Resize and normalise: BGR, 0..255, minus mean, over standard deviation.

    Args:
        image: an RGB picture.
        hw: (height, width) to bring it to (PIL's antialiased bilinear).
        flip: mirror it left to right.

    Returns:
        float32 ``[3, height, width]``.
    """
    height, width = hw
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    rgb = np.asarray(image)  # (H, W, 3) uint8
    out = np.empty((3, height, width), dtype=np.float32)
    # Numpy, plane by plane: a fifth of torch's time, and threads that read images do not start torch's own.
    for plane, source, mean, deviation in zip(out, (2, 1, 0), MEAN_BGR, STD_BGR, strict=True):
        np.subtract(rgb[..., source], np.float32(mean), out=plane, dtype=np.float32)
        plane /= np.float32(deviation)
    return torch.from_numpy(out)


def pad_batch(images: Sequence[Tensor], multiple: int = PAD_MULTIPLE) -> tuple[Tensor, list[tuple[int, int]]]:
    """Stack images, padded with zeros at the right and bottom to the largest, in multiples of ``multiple``.

    Padding is seen by attention and global means: images of different size in one batch change each other's
    results. Batch equal padded sizes only, where the official numbers matter.

    Returns:
        ``[B, 3, H, W]`` and each image's (height, width) before padding.
    """
    sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    height = -(-max(h for h, _ in sizes) // multiple) * multiple
    width = -(-max(w for _, w in sizes) // multiple) * multiple
    batch = images[0].new_zeros(len(images), 3, height, width)
    for row, image, (h, w) in zip(batch, images, sizes, strict=True):
        row[:, :h, :w] = image
    return batch, sizes


def scale_boxes(boxes: Tensor, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Tensor:
    """Boxes ``[N, 4]`` of an image of one (height, width) in the pixels of another."""
    y, x = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def flip_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes ``[N, 4]`` of the mirrored image: inclusive x becomes ``width - 1 - x``."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - 1 - x2, y1, width - 1 - x1, y2], dim=-1)
