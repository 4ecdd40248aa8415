"""Objects as pixels: a look is a few coloured shapes, drawn with antialiasing from implicit formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError

Field = NDArray[np.floating[Any]]
_OVERSAMPLING = 2

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 140, 25),
    "yellow": (248, 220, 60),
    "green": (52, 160, 70),
    "blue": (45, 95, 205),
    "purple": (135, 65, 175),
    "pink": (245, 150, 185),
    "brown": (125, 80, 45),
    "gray": (135, 138, 142),
    "black": (28, 28, 32),
    "white": (242, 242, 240),
}


# Only sums, products, roots and floors of arrays: these are rounded alike everywhere, whereas numpy's sine or arc
# tangent differ between processors in the last digit, which could move a pixel, and with it a box.


def _radius(x: Field, y: Field) -> Field:
    return np.sqrt(x * x + y * y)


def _star(x: Field, y: Field) -> NDArray[np.bool_]:
    radius = _radius(x, y)
    c = -y / np.maximum(radius, 1e-6)  # the cosine of the angle from the top
    c2 = c * c
    return radius < 0.66 + 0.34 * (c * ((16 * c2 - 20) * c2 + 5))  # cos 5t = 16 c^5 - 20 c^3 + 5 c


def _heart(x: Field, y: Field) -> NDArray[np.bool_]:
    u, v = x * 1.18, -y * 1.15 + 0.12
    q = u * u + v * v - 1
    return q * q * q - u * u * v * v * v < 0


SHAPES: Mapping[str, Callable[[Field, Field], NDArray[np.bool_]]] = {
    "round": lambda x, y: x * x + y * y < 1,
    "oval": lambda x, y: x * x + (y / 0.55) ** 2 < 1,
    "ring": lambda x, y: np.abs(_radius(x, y) - 0.76) < 0.24,
    "arch": lambda x, y: (np.abs(_radius(x, y - 0.5) - 1.0) < 0.3) & (y < 0.5),
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.88,
    "bar": lambda x, y: (np.abs(x) < 1) & (np.abs(y) < 0.26),
    "triangle": lambda x, y: (y < 0.85) & (y > 1.9 * np.abs(x) - 0.95),
    "diamond": lambda x, y: np.abs(x) / 0.78 + np.abs(y) < 1,
    "star": _star,
    "cross": lambda x, y: (np.minimum(np.abs(x), np.abs(y)) < 0.3) & (np.maximum(np.abs(x), np.abs(y)) < 0.95),
    "crescent": lambda x, y: (x * x + y * y < 1) & ((x - 0.5) ** 2 + y * y > 0.62),
    "heart": _heart,
}
"""Inside or outside, for coordinates where the object fills about -1..1 (an arch 1.3 of it); y points down."""

_STRIPE_START = (math.asin(0.15) - 0.8) / (2 * math.pi)
_STRIPE_WIDTH = (math.pi - 2 * math.asin(0.15)) / (2 * math.pi)


def _stripes(y: Field) -> NDArray[np.bool_]:
    """Where sin(9.5 y + 0.8) > 0.15, computed from the phase."""
    phase = y * (9.5 / (2 * math.pi)) - _STRIPE_START
    return phase - np.floor(phase) < _STRIPE_WIDTH


TEXTURES: Mapping[str, Callable[[Field, Field], NDArray[np.bool_] | None]] = {
    "plain": lambda x, y: None,
    "striped": lambda x, y: _stripes(y),
    "dotted": lambda x, y: (((x * 2.2) % 1 - 0.5) ** 2 + ((y * 2.2) % 1 - 0.5) ** 2) < 0.09,
    "checkered": lambda x, y: (np.floor(x * 2.5) + np.floor(y * 2.5)) % 2 == 0,
}
"""Where the second colour shows; None: nowhere."""


@dataclass(frozen=True)
class Part:
    """One shape of a look.

    Attributes:
        colour, texture, shape: keys of :data:`COLOURS`, :data:`TEXTURES` and :data:`SHAPES`.
        x, y: its centre, where the whole object fills -1..1.
        w, h: its half size.
    """

    colour: str
    texture: str
    shape: str
    x: float = 0.0
    y: float = 0.0
    w: float = 1.0
    h: float = 1.0


@dataclass(frozen=True)
class Look:
    """How a thing looks: parts painted one over the other; the first one gives it its attributes."""

    parts: tuple[Part, ...]

    @property
    def main(self) -> Part:
        """The part that attributes speak of."""
        return self.parts[0]

    def words(self) -> tuple[str, ...]:
        """The attribute words that are true of it."""
        return (self.main.colour, self.main.texture, self.main.shape)


def parse_look(text: str) -> Look:
    """A look from words, ``"gray dotted diamond"``; parts separated by ``;`` may add ``@ x y w h``.

    Raises:
        InputError: an unknown word (with those that are known), or a part that lacks something or has it twice.
    """
    return Look(tuple(_parse_part(piece, text) for piece in text.split(";")))


def _parse_part(piece: str, text: str) -> Part:
    words, _, place = piece.partition("@")
    try:
        numbers = [float(number) for number in place.split()]
    except ValueError:
        numbers = [math.nan]
    if len(numbers) not in (0, 4):
        raise InputError(f"look '{text}': '@' wants four numbers, x y w h")
    if any(not half > 0 for half in numbers[2:]):
        raise InputError(f"look '{text}': the half sizes must be positive")
    known: dict[str, Mapping[str, Any]] = {"colour": COLOURS, "texture": TEXTURES, "shape": SHAPES}
    found: dict[str, str] = {}
    for word in words.split():
        kind = next((kind for kind, words_of_kind in known.items() if word in words_of_kind), None)
        if kind is None:
            lists = "; ".join(f"{kind}s: {', '.join(words_of_kind)}" for kind, words_of_kind in known.items())
            raise InputError(f"look '{text}': unknown word '{word}'; {lists}")
        if kind in found:
            raise InputError(f"look '{text}': a part has two {kind}s, '{found[kind]}' and '{word}'")
        found[kind] = word
    if "colour" not in found or "shape" not in found:
        raise InputError(f"look '{text}': a part needs a colour and a shape")
    return Part(found["colour"], found.get("texture", "plain"), found["shape"], *numbers)


def second_colour(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a texture adds: a light tone on dark colours, a dark one on light colours."""
    target = np.float32(235.0 if colour.mean() < 120 else 25.0)
    return colour + (target - colour) * np.float32(0.7)


def _local(part: Part, x: Field, y: Field) -> tuple[Field, Field]:
    """Coordinates in which a part fills -1..1."""
    return (x - np.float32(part.x)) / np.float32(part.w), (y - np.float32(part.y)) / np.float32(part.h)


@lru_cache(maxsize=4096)
def _reach(look: Look) -> float:
    """How far a look reaches from its centre, in half lengths, whichever way it is turned."""
    cells = 96
    axis = np.linspace(-2, 2, cells, dtype=np.float32)
    x, y = np.broadcast_arrays(axis[None, :], axis[:, None])
    covered = np.zeros((cells, cells), bool)
    for part in look.parts:
        covered |= SHAPES[part.shape](*_local(part, x, y))
    furthest = float(_radius(x, y)[covered].max(initial=0))
    return furthest + 4 / cells  # it may continue until the next cell of the grid


def stamp(look: Look, size: float, angle: float, jitter: NDArray[np.float32]) -> tuple[Field, Field]:
    """Draw one object on nothing.

    Args:
        look: what to draw.
        size: length of its longer side, in pixels.
        angle: turn, in radians.
        jitter: ``[3]``, added to every colour (0..255).

    Returns:
        Colours ``[n, n, 3]`` (0..255) and coverage ``[n, n]`` (0..1), the object's centre in the middle.
    """
    n = 2 * math.ceil(size / 2 * _reach(look)) + 2
    fine = n * _OVERSAMPLING
    axis = ((np.arange(fine, dtype=np.float32) + 0.5) / _OVERSAMPLING - n / 2) / np.float32(size / 2)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    x = axis[None, :] * cos + axis[:, None] * sin
    y = axis[:, None] * cos - axis[None, :] * sin
    palette: list[NDArray[np.float32]] = []
    painted = np.zeros((fine, fine), np.uint8)  # 0: nothing; k: palette[k - 1]
    for part in look.parts:
        u, v = _local(part, x, y)
        inside = SHAPES[part.shape](u, v)
        colour = np.clip(np.array(COLOURS[part.colour], np.float32) + jitter, 0, 255)
        palette.append(colour)
        np.copyto(painted, len(palette), where=inside)
        pattern = TEXTURES[part.texture](u, v)
        if pattern is not None:
            palette.append(second_colour(colour))
            np.copyto(painted, len(palette), where=inside & pattern)
    samples = np.zeros((n, n), np.uint8)
    total = np.zeros((n, n, 3), np.float32)
    for k, colour in enumerate(palette, start=1):
        count = _pooled(painted == k)
        samples += count
        total += count[..., None] * colour
    return total / np.maximum(samples, 1)[..., None], samples * np.float32(1 / _OVERSAMPLING**2)


def _pooled(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How many of a pixel's samples are set: ``[2n, 2n]`` to ``[n, n]``."""
    values = mask.view(np.uint8)
    rows = values[0::2] + values[1::2]
    return rows[:, 0::2] + rows[:, 1::2]
