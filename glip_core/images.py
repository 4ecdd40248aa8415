"""Photos from wherever they come: files, addresses, PIL images, arrays, tensors."""

from __future__ import annotations

import io
import re
import threading
import warnings
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image, UnidentifiedImageError

from glip_core.errors import InputError

MAX_PIXELS = 200_000_000
"""An image that decodes to more is refused: it would exhaust memory."""

MAX_SIDE = 100_000
"""Pixels of a side at most."""

MAX_DOWNLOAD = 100 << 20
"""Bytes that are read from an address at most."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
"""What is decoded, as far as Pillow can here; others are refused, whatever the file is called.

Pillow would hand PostScript to an interpreter, for example.
"""

_TIMEOUT = 30  # seconds without an answer from an address
_FILTERS = threading.Lock()  # Python's warning filters are one for all threads


def load_image(image: Any) -> Image.Image:
    """An RGB picture from a path, an address, a PIL image, an array or a tensor.

    A camera's EXIF orientation is not applied: neither the official loader nor the annotations know of it.

    Args:
        image: a path; an ``http(s)://`` address; a PIL image; a uint8 array ``[H, W, 3]`` in RGB order; or a tensor
            ``[3, H, W]``, uint8 or float in 0..1.

    Raises:
        InputError: the file is missing, is no image of :data:`FORMATS`, is truncated or too large; it or the PIL image
            is of 32 bits a channel; the address does not answer; or the array has another shape.
    """
    if isinstance(image, Image.Image):
        return _eight_bit(image, "the PIL image").convert("RGB")
    if hasattr(image, "detach"):
        image = _from_tensor(image)
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(f"an image array must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}")
        return Image.fromarray(image)
    if isinstance(image, str) and image.startswith(("http://", "https://")):
        return _decode(io.BytesIO(_download(image)), image)
    if not isinstance(image, str | Path):
        raise InputError(
            f"an image is a path, an address, a PIL image, an array or a tensor, not {type(image).__name__}"
        )
    path = Path(image)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "not found"
        raise InputError(f"image '{path}' {kind}")
    return _decode(path, str(path))


def _decode(source: Path | io.BytesIO, name: str) -> Image.Image:
    try:
        with open_header(source) as opened:
            if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
                raise InputError(
                    f"image '{name}' has {opened.width}x{opened.height} pixels; at most {MAX_PIXELS} are read, "
                    f"{MAX_SIDE} a side"
                )
            return _eight_bit(opened, f"image '{name}'").convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = "is not an image" if isinstance(error, UnidentifiedImageError) else f"cannot be decoded: {error}"
        raise InputError(f"image '{name}' {reason}; give a JPEG or PNG file") from error
    except MemoryError as error:
        raise InputError(f"image '{name}' does not fit into memory; give a smaller one") from error


def open_header(source: Path | io.BytesIO) -> Image.Image:
    """A picture of which only the header is read, without Pillow's warning: there is a limit of our own.

    Raises:
        OSError, SyntaxError, ValueError, Image.DecompressionBombError: what Pillow raises on what is no such picture.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.init()  # all plugins, or Pillow would not know some of the names
        return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


def _eight_bit(image: Image.Image, what: str) -> Image.Image:
    """16 bits a channel scaled to 8, as viewers show them; by itself Pillow would make white of all above 255."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image, dtype=np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise InputError(f"{what} has 32 bits a channel, of which nobody says what is white; give 8 or 16 bits")
    return image


def _from_tensor(tensor: Any) -> np.ndarray:
    """``[3, H, W]``, uint8 or float in 0..1 -> uint8 ``[H, W, 3]``."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
        tensor = tensor.float()  # numpy knows no bfloat16
    array = tensor.numpy()
    if array.ndim != 3 or array.shape[0] != 3 or array.size == 0:
        raise InputError(f"an image tensor must be [3, H, W], not {list(array.shape)}")
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating) or not (array.min() >= 0 and array.max() <= 1):
            raise InputError("an image tensor must be uint8, or float in 0..1 (not normalised)")
        array = (array * 255).round().astype(np.uint8)
    return np.ascontiguousarray(array.transpose(1, 2, 0))


def _download(address: str) -> bytes:
    # Without spaces and quotes a password in it is found, and left out, as a whole.
    shown = re.sub(r"[\s'\"]", lambda sign: quote(sign[0]), address.split("?", 1)[0])
    try:
        with urlopen(Request(address, headers={"User-Agent": "odinw-bench"}), timeout=_TIMEOUT) as answer:
            content = answer.read(MAX_DOWNLOAD + 1)
    except InvalidURL:  # its text may hold the password
        raise InputError(f"image '{shown}' has no valid address; a space in it is written %20") from None
    except (URLError, OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"image '{shown}' cannot be fetched: {reason}") from error
    if len(content) > MAX_DOWNLOAD:
        raise InputError(f"image '{shown}' is larger than {MAX_DOWNLOAD >> 20} MiB")
    return bytes(content)
