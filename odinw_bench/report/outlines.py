"""Texts of a figure as outlines: hundreds of short ones drawn as one artist, a small part of the time texts take.

This module imports matplotlib; :mod:`odinw_bench.report.drawing` imports it where something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from matplotlib.artist import Artist
from matplotlib.colors import to_rgba
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D, Bbox, Transform

Placed = tuple[float, float, str, str]
"""x, y, text and colour."""


@cache
def outline(text: str, points: float, *, centred: bool, degrees: float = 0) -> tuple[Path, Bbox]:
    """The outline of a text around (0, 0), in points, and its extents.

    Args:
        text: on one line.
        points: size of the font.
        centred: the middle of the text is at (0, 0); else the middle of its right side, around which it is turned.
        degrees: turned anticlockwise by so much.
    """
    path = TextPath((0, 0), text, size=points)
    box = path.get_extents()
    x = (box.x0 + box.x1) / 2 if centred else box.x1
    move = Affine2D().translate(-x, -(box.y0 + box.y1) / 2).rotate_deg(degrees)
    moved = move.transform_path(path)
    return moved, moved.get_extents()


class Outlines(Artist):
    """Texts at some places.

    Args:
        texts: what stands where.
        points: size of the font.
        transform: of the places.
        centred, degrees: see :func:`outline`.
    """

    def __init__(
        self,
        texts: Sequence[Placed],
        points: float,
        transform: Transform,
        *,
        centred: bool = True,
        degrees: float = 0,
    ) -> None:
        super().__init__()
        self.set_zorder(2)  # above pictures
        self.places_transform = transform
        self.outlines: dict[str, tuple[Path, Bbox]] = {}
        self.places: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for x, y, text, colour in texts:
            if text.strip():  # an empty outline has no extents
                self.outlines[text] = outline(text, points, centred=centred, degrees=degrees)
                self.places.setdefault((text, colour), []).append((x, y))

    def draw(self, renderer: Any) -> None:
        """Draw all; matplotlib calls it."""
        to_pixels = Affine2D().scale(self._pixels())
        gc = renderer.new_gc()
        gc.set_linewidth(0)
        gc.set_snap(False)
        for (text, colour), found in self.places.items():
            shape, _ = self.outlines[text]
            renderer.draw_markers(gc, shape, to_pixels, Path(found), self.places_transform.frozen(), to_rgba(colour))
        gc.restore()

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """What room they take, in pixels; the layout asks for it."""
        scale, boxes = self._pixels(), []
        for (text, _), found in self.places.items():
            _, box = self.outlines[text]
            for x, y in self.places_transform.transform(found):
                boxes.append(Bbox(box.get_points() * scale + (x, y)))
        return Bbox.union(boxes) if boxes else Bbox.null()

    def _pixels(self) -> float:
        """Pixels in a point."""
        figure = self.get_figure(root=True)
        assert figure is not None
        return float(figure.dpi) / 72
