"""Labels on pictures and in figures that do not lie on each other: a place for each, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from odinw_bench.report.document import Box

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""

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


def overlap(a: Rectangle, b: Rectangle) -> bool:
    """Whether two rectangles have an area in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place_labels(boxes: Sequence[Box], picture: tuple[int, int], size: float) -> list[Label]:
    """A place for the label of each box, where one is free: above it, below it, inside, then beside.

    The last boxes, which are drawn on top, come first. A box whose label finds no place has none: its colour still
    says its class.

    Args:
        boxes: the boxes.
        picture: (width, height).
        size: of the font, in the picture's pixels.
    """
    taken: list[Rectangle] = []
    labels = []
    for box in reversed(boxes):
        text = _cut(box.label, picture[0], size)
        width, height = text_width(text, size), _LINE * size
        for left, top in _places(box, width, height):
            x = min(max(left, 0.0), picture[0] - width)
            y = min(max(top, 0.0), picture[1] - height)
            rectangle = (x, y, x + width, y + height)
            if x >= 0 and y >= 0 and not any(overlap(rectangle, other) for other in taken):
                taken.append(rectangle)
                labels.append(Label(round(x, 2), round(y + size, 2), text))
                break
    return labels


def _places(box: Box, width: float, height: float) -> Iterator[tuple[float, float]]:
    x, y, w, h = box.xywh
    for left in (x, x + w - width):
        yield from ((left, y - height), (left, y + h), (left, y), (left, y + h - height))
    yield from ((x + w, y), (x - width, y), (x + w, y + h - height), (x - width, y + h - height))


def _cut(text: str, width: float, size: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"
