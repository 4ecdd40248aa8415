"""Scenes: objects on a background, with exact boxes, the same on every machine for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odinw_bench.mini.backgrounds import Camera, develop, paint_background
from odinw_bench.mini.draw import Look, stamp

_OPAQUE = 0.5  # coverage from which a pixel counts as the object's
_LEAST_VISIBLE = 0.4  # an object of which less is left to see gets no box
_MOST_OVERLAP = 0.25  # of two boxes, in parts of the smaller, when placing


def generator(*parts: object) -> np.random.Generator:
    """A random generator that depends on the given values alone, on every machine and in every process."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


@dataclass(frozen=True)
class Thing:
    """An object that was put into a scene.

    Attributes:
        look: how it looks.
        key: whatever the caller wants to know it by (a class name, None for clutter).
        size: its nominal length in pixels.
        box: what it covers of the picture, x1, y1, x2, y2, exclusive ends: width is ``x2 - x1``.
    """

    look: Look
    key: str | None
    size: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it."""

    image: Image.Image
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Wish:
    """An object to be placed: a look, a key and a length in pixels."""

    look: Look
    key: str | None
    size: float


def compose(
    wishes: Sequence[Wish],
    *,
    background: str,
    size: tuple[int, int],
    camera: Camera,
    rng: np.random.Generator,
    turn: float = 0.2,
    overlap: float = _MOST_OVERLAP,
) -> Scene:
    """Put objects on a background, later ones in front.

    Args:
        wishes: what to place; what finds no room is left out.
        background: a key of :data:`~odinw_bench.mini.backgrounds.BACKGROUNDS`.
        size: (width, height) of the picture.
        camera: how the picture is taken.
        rng: decides places, turns and shades.
        turn: largest turn of an object, in radians.
        overlap: how much two objects' boxes may overlap, in parts of the smaller one.

    Returns:
        The scene. A thing's box spans all that was drawn of it inside the picture, hidden or not, as annotators do;
        a thing that later ones hide almost wholly is not listed.
    """
    width, height = size
    canvas = paint_background(background, height, width, rng)
    owner = np.full((height, width), -1, np.int16)
    placed: list[tuple[Wish, tuple[int, int, int, int], int]] = []
    for wish in wishes:
        angle = rng.uniform(-turn, turn)
        jitter = rng.uniform(-16, 16, 3).astype(np.float32)
        length = min(wish.size, 0.9 * min(width, height))
        colours, coverage = stamp(wish.look, length, angle, jitter)
        if not (coverage >= _OPAQUE).any():
            continue  # too thin for a box
        place = _find_place(len(coverage), length, size, [box for _, box, _ in placed], overlap, rng)
        if place is None:
            continue
        box, pixels = _paint(canvas, owner, colours, coverage, place, len(placed))
        placed.append((wish, box, pixels))
    counts = np.bincount(owner[owner >= 0].ravel(), minlength=len(placed))
    things = tuple(
        Thing(wish.look, wish.key, wish.size, box)
        for i, (wish, box, pixels) in enumerate(placed)
        if counts[i] >= _LEAST_VISIBLE * pixels
    )
    return Scene(develop(canvas, camera), things)


def _find_place(
    n: int,
    length: float,
    size: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
    overlap: float,
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """Top left corner for a stamp of n by n pixels, its object inside and over others little; None: no room."""
    half = length / 2
    (width, height) = size
    for _ in range(12):
        x, y = rng.uniform(half + 1, width - half - 1), rng.uniform(half + 1, height - half - 1)
        rough = (x - half, y - half, x + half, y + half)
        if all(_overlap(rough, box) <= overlap for box in taken):
            return round(x - n / 2), round(y - n / 2)
    return None


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _paint(
    canvas: NDArray[np.float32],
    owner: NDArray[np.int16],
    colours: NDArray[np.float32],
    coverage: NDArray[np.float32],
    corner: tuple[int, int],
    index: int,
) -> tuple[tuple[int, int, int, int], int]:
    """Blend a stamp into the canvas; returns the object's box and its number of pixels."""
    height, width = owner.shape
    (left, top), n = corner, len(coverage)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + n, width), min(top + n, height)
    cut = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    here = (slice(y1, y2), slice(x1, x2))
    alpha = coverage[cut][..., None]
    canvas[here] += alpha * (colours[cut] - canvas[here])
    mask = coverage[cut] >= _OPAQUE
    owner[here][mask] = index
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (x1 + int(columns[0]), y1 + int(rows[0]), x1 + int(columns[-1]) + 1, y1 + int(rows[-1]) + 1)
    return box, int(mask.sum())
