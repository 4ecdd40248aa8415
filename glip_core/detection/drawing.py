"""Boxes on pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from glip_core.types import Detections

_SMALLEST = 640  # pictures with a shorter longest side are enlarged, so that labels can be read


def class_colour(label: int) -> tuple[int, int, int]:
    """A colour per class: neighbouring labels lie far apart on the colour wheel."""
    hue = (0.33 + label * 0.618034) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.45 + 0.12 * (label // 7 % 2), 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_detections(photo: Image.Image, found: Detections, names: Sequence[str]) -> Image.Image:
    """A copy of a photo with its detections, the best on top.

    Args:
        photo: RGB.
        found: boxes in the photo's pixels.
        names: name of each label.
    """
    scale = max(1, -(-_SMALLEST // max(photo.size)))
    picture = photo.convert("RGB")
    if scale > 1:
        picture = picture.resize((photo.width * scale, photo.height * scale), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line, font = max(2, longest // 400), ImageFont.load_default(max(13, longest // 60))
    order = list(zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True))
    for (x1, y1, x2, y2), _, label in reversed(order):
        corners = (x1 * scale, y1 * scale, (x2 + 1) * scale - 1, (y2 + 1) * scale - 1)
        pen.rectangle(corners, outline=class_colour(label), width=line)
    for (x1, y1, _, _), score, label in reversed(order):  # no label lies under another's box
        colour = class_colour(label)
        text = f"{names[label]} {score:.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        x = min(max(0, x1 * scale), max(0, picture.width - (right - left) - 6))
        y = y1 * scale - (bottom - top) - 6
        y = y if y >= 0 else y1 * scale
        pen.rectangle((x, y, x + right - left + 6, y + bottom - top + 6), fill=colour)
        bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
        pen.text((x + 3 - left, y + 3 - top), text, font=font, fill="black" if bright else "white")
    return picture
