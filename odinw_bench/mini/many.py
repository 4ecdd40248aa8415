"""The classes of ``mini-lvis``: a colour, a texture and a shape each, from frequent to rare."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Literal

from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES, Look, parse_look
from odinw_bench.mini.scenes import generator
from odinw_bench.mini.world import SHAPE_ADJECTIVES

GROUPS: tuple[tuple[Literal["r", "c", "f"], int], ...] = (("f", 40), ("c", 60), ("r", 60))
"""How many classes are frequent, common and rare."""


@dataclass(frozen=True)
class ManyClass:
    """One of many classes.

    Attributes:
        name: ``red striped heart``; where the shape's word is an adjective, ``red striped round thing``.
        look: how it looks.
        weight: how often it is drawn, relative to the others.
        frequency: ``r``, ``c`` or ``f``.
    """

    name: str
    look: Look
    weight: float
    frequency: Literal["r", "c", "f"]


@cache
def many_classes() -> tuple[ManyClass, ...]:
    """160 of the 396 combinations, sorted by name, as LVIS sorts its categories.

    Plain ones are left out: nobody says "plain", and "red star" would be true of a striped one too. The weights fall as
    1 / rank; the groups are cut by rank.
    """
    textures = [texture for texture in TEXTURES if texture != "plain"]
    combinations = list(itertools.product(COLOURS, textures, SHAPES))
    generator("mini-lvis", "classes").shuffle(combinations)
    groups = [frequency for frequency, count in GROUPS for _ in range(count)]
    classes = [
        ManyClass(_name(*words), parse_look(" ".join(words)), 1.0 / rank, frequency)
        for rank, (words, frequency) in enumerate(zip(combinations, groups, strict=False), start=1)
    ]
    return tuple(sorted(classes, key=lambda one: one.name))


def _name(colour: str, texture: str, shape: str) -> str:
    return f"{colour} {texture} {shape}" + (" thing" if shape in SHAPE_ADJECTIVES else "")
