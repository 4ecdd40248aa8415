"""Labels on pictures and in figures that do not lie on each other: a place for each, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glip_core.detection import labels
from odinw_bench.report.document import Box

_NARROW, _WIDE = set("iljtfrI.,:;|!'() "), set("mwMWQO@%")
_LINE = 1.25  # of a font size


@dataclass(frozen=True)
class Label:
    """A text on a picture.

    Attributes:
        x: its left end, in pixels of the picture.
        y: its base line.
        text: what it says, cut where it would be wider than the picture.
    """

    x: float
    y: float
    text: str


def text_width(text: str, size: float) -> float:
    """Width of a bold sans-serif text: at least that of the common wide font (DejaVu), so an upper estimate."""
    return size * sum(0.45 if sign in _NARROW else 1.12 if sign in _WIDE else 0.78 for sign in text)


def place_labels(boxes: Sequence[Box], picture: tuple[int, int], size: float) -> list[Label]:
    """A place for the label of each box, where one is free; see :func:`glip_core.detection.labels.place_labels`.

    The last boxes, which are drawn on top, come first. A box whose label finds no place has none: its colour still
    says its class.

    Args:
        boxes: the boxes.
        picture: (width, height).
        size: of the font, in the picture's pixels.
    """
    shown = boxes[::-1]
    texts = [_cut(box.label, picture[0], size) for box in shown]
    frames = [(x, y, x + width, y + height) for x, y, width, height in (box.xywh for box in shown)]
    places = labels.place_labels(frames, [(text_width(text, size), _LINE * size) for text in texts], picture)
    found = zip(texts, places, strict=True)
    return [Label(round(place[0], 2), round(place[1] + size, 2), text) for text, place in found if place is not None]


def _cut(text: str, width: float, size: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"
