"""What the header of a picture file says: its size, and the orientation that its camera noted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import DecompressionBombError

from glip_core.errors import InputError
from glip_core.images import open_header

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif")
)
"""What picture files are called; whether they can be read depends on their content."""

_ORIENTATION = 0x0112
_SIDEWAYS = 5
"""Orientations from this one on exchange width and height."""


def picture_header(path: Path) -> tuple[int, int, int]:
    """Width and height in pixels as decoded, and the EXIF orientation: 1 (none) to 8. Only the header is read.

    Decoding leaves pictures as they are stored, but for TIFF: Pillow turns those itself, and what it gives has no
    orientation left.

    Raises:
        InputError: the file is missing or no picture.
    """
    try:
        facts = path.stat()
        return _header(path, facts.st_mtime_ns, facts.st_size)
    except FileNotFoundError as error:
        raise InputError(f"image '{path}' not found") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on broken files
        raise InputError(f"image '{path}' is not an image; give a JPEG or PNG file") from error
    except DecompressionBombError as error:
        raise InputError(f"image '{path}' has too many pixels to be read: {error}") from error


def displayed_size(header: tuple[int, int, int]) -> tuple[int, int]:
    """Width and height as viewers show the picture."""
    width, height, orientation = header
    return (height, width) if orientation >= _SIDEWAYS else (width, height)


def upright(picture: Image, orientation: int) -> Image:
    """The pixels as viewers show them.

    Args:
        picture: as stored.
        orientation: 1 to 8.
    """
    from PIL.Image import Transpose

    steps = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(steps[orientation]) if orientation in steps else picture


@lru_cache(maxsize=1 << 17)
def _header(path: Path, _changed: int, _size: int) -> tuple[int, int, int]:
    with open_header(path) as opened:
        try:
            orientation = opened.getexif().get(_ORIENTATION, 1)
        except Exception:  # what is in EXIF blocks is as varied as cameras; none of it may stop a run
            orientation = 1
        turned = opened.format == "TIFF"  # by Pillow, when it decodes; the size is already that of then
        sound = isinstance(orientation, int) and 1 <= orientation <= 8 and not turned
        return opened.width, opened.height, orientation if sound else 1
