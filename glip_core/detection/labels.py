"""Where the labels of boxes go on a picture, so that none covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


def place_labels(
    boxes: Sequence[Rectangle], sizes: Sequence[tuple[float, float]], picture: tuple[int, int]
) -> list[Rectangle | None]:
    """A place for each label inside the picture, free of the labels before it.

    A label stands above its box if it can, else inside it at the top, below it or beside it, else along its sides as
    near to its upper left corner as there is room. One that finds no place there is left out rather than put where
    nobody would look for it.

    Args:
        boxes: in the picture's pixels, the most important first.
        sizes: width and height of each label.
        picture: width and height.

    Returns:
        the rectangle of each label; None: there is no room for it.
    """
    taken: list[Rectangle] = []
    places: list[Rectangle | None] = []
    for box, (width, height) in zip(boxes, sizes, strict=True):
        found = None
        for left, top in _corners(box, width, height):
            spot = _inside(left, top, width, height, picture)
            if spot is not None and not any(overlap(spot, other) for other in taken):
                found = spot
                taken.append(spot)
                break
        places.append(found)
    return places


def _corners(box: Rectangle, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Left upper corners that a label may have, the best first."""
    left, top, right, bottom = box
    for y in (top - height, top, bottom, bottom - height):
        yield left, y
        yield right - width, y
    steps = max(1, int((bottom - top) // height))
    for step in range(steps + 1):
        y = min(top + step * height, bottom)
        yield from ((left, y), (right - width, y), (right, y), (left - width, y))
    for step in range(2, 5):  # a crowd: lines above and below the box
        yield left, top - step * height
        yield left, bottom + (step - 1) * height


def _inside(left: float, top: float, width: float, height: float, picture: tuple[int, int]) -> Rectangle | None:
    """The label moved sideways into the picture; None where it would stand out above or below, or is too wide."""
    if top < 0 or top + height > picture[1] or width > picture[0]:
        return None
    left = min(max(0.0, left), picture[0] - width)
    return left, top, left + width, top + height


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles have an area in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
