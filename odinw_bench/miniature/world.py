"""The words of the miniature world: common things with a look, attributes, and invented words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from odinw_bench.miniature.draw import COLOURS, SHAPES, TEXTURES, Look, parse_look

_COMMON = yaml.safe_load((Path(__file__).parent / "common.yaml").read_text(encoding="utf-8"))

COMMON: Mapping[str, Look] = {name: parse_look("; ".join(parts)) for name, parts in _COMMON.items()}
"""Common names and their look, in pre-training and tasks alike."""

NOUNS = ("thing", "object", "shape")
"""Generic nouns that any attribute may describe."""

_SYLLABLES = tuple(
    "ba be bi bo da de di do fa fi fo ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no "  # noqa: SIM905
    "pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi vo wa we wi za ze zi zo".split()
)
_ENDINGS = ("", "", "n", "x", "k", "p", "sh", "ck", "ll", "m")


INVENTED = re.compile(f"(?:{'|'.join(_SYLLABLES)}){{2,3}}(?:{'|'.join(_ENDINGS)})")
"""What an invented word can be (and, by chance, a few common names: "sofa", "kite")."""


def invented_word(rng: np.random.Generator) -> str:
    """A word of two or three syllables that means nothing."""
    while True:
        count = int(rng.integers(2, 4))
        word = "".join(_SYLLABLES[i] for i in rng.integers(0, len(_SYLLABLES), count)) + str(rng.choice(_ENDINGS))
        if word not in COMMON:
            return word


def random_look(rng: np.random.Generator) -> Look:
    """One shape of any colour and texture; plain ones are more frequent."""
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    shape = list(SHAPES)[int(rng.integers(len(SHAPES)))]
    textures = list(TEXTURES)
    texture = "plain" if rng.random() < 0.34 else textures[1 + int(rng.integers(len(textures) - 1))]
    return parse_look(f"{colour} {texture} {shape}")


SHAPE_ADJECTIVES: Mapping[str, str] = {"round": "round", "oval": "oval", "square": "square"}
"""Shapes whose word is an adjective; the others are nouns ("star") and become "star shaped" beside a name."""


def shape_adjective(shape: str) -> str:
    """The shape as an adjective."""
    return SHAPE_ADJECTIVES.get(shape, f"{shape} shaped")


def describe(look: Look) -> list[str]:
    """The attributes of a look in words, as manual prompts use them: ``["gray", "dotted", "diamond shaped"]``."""
    colour, texture, shape = look.words()
    return [colour, *([] if texture == "plain" else [texture]), shape_adjective(shape)]
