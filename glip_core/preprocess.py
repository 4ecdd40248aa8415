"""Photos -> network input, and boxes back: the official test-time transform."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from glip_core.errors import InputError

MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)
PAD_MULTIPLE = 32
MAX_PIXELS = 200_000_000  # an image that decodes to more is refused: it would exhaust memory
_FILTERS = threading.Lock()  # Python's warning filters are one for all threads


def load_image(image: Any) -> Image.Image:
    """An RGB picture from a path, a PIL image or an array.

    A camera's EXIF orientation is not applied: neither the official loader nor the annotations know of it.

    Args:
        image: a path, a PIL image, or a uint8 array ``[H, W, 3]`` in RGB order.

    Raises:
        InputError: the file is missing, is no image, is truncated, too large or of 32 bits a channel; or the array
            has another shape.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(f"an image array must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}")
        return Image.fromarray(image)
    path = Path(image)
    if not path.is_file():
        raise InputError(f"image '{path}' not found")
    try:
        with _open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InputError(
                    f"image '{path}' has {opened.width}x{opened.height} pixels; at most {MAX_PIXELS} are read"
                )
            return _eight_bit(opened, path).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = "is not an image" if isinstance(error, UnidentifiedImageError) else f"cannot be decoded: {error}"
        raise InputError(f"image '{path}' {reason}; give a JPEG or PNG file") from error


def _open(path: Path) -> Image.Image:
    """The file's header read, without Pillow's warning: there is a limit of our own."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


def _eight_bit(image: Image.Image, path: Path) -> Image.Image:
    """16 bits a channel scaled to 8, as viewers show them; by itself Pillow would make white of all above 255."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image, dtype=np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise InputError(f"image '{path}' has 32 bits a channel, of which nobody says what is white; give 8 or 16 bits")
    return image


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
