"""The words of the miniature world: common things with a look, attributes, and invented words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from odinw_bench.miniature.draw import COLOURS, SHAPES, TEXTURES, Look, parse_look

_COMMON = {
    # seen names that are classes of the tasks
    "person": "blue bar @ 0 0.35 0.5 2.4; pink round @ 0 -0.68 0.32 0.32",
    "dog": "brown oval @ 0 0.1 0.8 0.75; brown round @ 0.72 -0.35 0.3 0.3; black bar @ -0.4 0.7 0.14 1.1; black bar @ 0.4 0.7 0.14 1.1",
    "cat": "orange striped round @ 0 0.15 0.72 0.72; orange triangle @ -0.45 -0.62 0.3 0.36; orange triangle @ 0.45 -0.62 0.3 0.36",
    "fish": "orange oval @ -0.15 0 0.78 0.85; orange diamond @ 0.75 0 0.25 0.5",
    "boat": "white bar @ 0 0.55 0.95 1.2; red triangle @ 0 -0.25 0.5 0.6",
    "car": "red bar @ 0 0.15 1 1.2; red arch @ 0 -0.2 0.5 0.45; black round @ -0.5 0.5 0.24 0.24; black round @ 0.5 0.5 0.24 0.24",
    "bus": "yellow square @ 0 0 1 0.62; white bar @ 0 -0.2 0.8 0.6; black round @ -0.55 0.6 0.22 0.22; black round @ 0.55 0.6 0.22 0.22",
    "truck": "green square @ -0.25 0 0.75 0.6; gray square @ 0.65 0.2 0.35 0.4; black round @ -0.5 0.62 0.24 0.24; black round @ 0.6 0.62 0.24 0.24",
    "bicycle": "black ring @ -0.52 0.2 0.46 0.46; black ring @ 0.52 0.2 0.46 0.46; red bar @ 0 -0.15 0.5 0.35",
    "bird": "blue crescent @ 0 0.1 0.8 0.7; yellow triangle @ 0.75 -0.2 0.24 0.2",
    "bottle": "green oval @ 0 0.3 0.42 1.1; green bar @ 0 -0.6 0.16 1.2",
    "chair": "brown square @ 0 0.15 0.55 0.2; brown bar @ -0.45 0 0.12 3.2; brown bar @ 0.45 0.5 0.12 1.8",
    "horse": "brown oval @ -0.1 0 0.75 0.7; brown bar @ 0.6 -0.45 0.16 2.0; white bar @ -0.5 0.6 0.1 1.4; white bar @ 0.3 0.6 0.1 1.4",
    "sheep": "white round @ 0 0 0.75 0.6; black round @ 0.7 -0.1 0.26 0.26; black bar @ -0.3 0.7 0.1 1.0; black bar @ 0.3 0.7 0.1 1.0",
    "sofa": "purple square @ 0 0.3 0.95 0.35; purple arch @ 0 -0.05 0.85 0.6",
    "train": "blue square @ 0 0 1 0.42; yellow bar @ 0 0 0.95 0.4; black round @ -0.6 0.48 0.16 0.16; black round @ 0 0.48 0.16 0.16; black round @ 0.6 0.48 0.16 0.16",
    "hand": "pink round @ 0 0.35 0.55 0.55; pink bar @ -0.35 -0.4 0.13 2.0; pink bar @ 0 -0.5 0.13 2.0; pink bar @ 0.35 -0.4 0.13 2.0",
    "crab": "red oval @ 0 0.1 0.7 0.8; red arch @ -0.7 -0.35 0.28 0.34; red arch @ 0.7 -0.35 0.28 0.34",
    # further common things
    "tree": "green triangle @ 0 -0.25 0.7 0.75; brown bar @ 0 0.75 0.14 1.0",
    "house": "brown square @ 0 0.35 0.7 0.55; red triangle @ 0 -0.5 0.85 0.42",
    "cup": "blue square @ -0.1 0 0.55 0.7; blue ring @ 0.6 0 0.3 0.4",
    "apple": "red round @ 0 0.1 0.8 0.8; green bar @ 0.1 -0.8 0.12 0.9",
    "banana": "yellow arch @ 0 0.1 0.95 0.75",
    "clock": "white round; black cross @ 0 0 0.45 0.45",
    "key": "gray ring @ -0.6 0 0.36 0.36; gray bar @ 0.35 0 0.65 0.35",
    "umbrella": "purple arch @ 0 -0.3 0.95 0.6; black bar @ 0 0.35 0.07 2.2",
    "kite": "pink diamond @ 0 -0.15 0.75 0.8; yellow bar @ 0 0.85 0.07 0.5",
    "lamp": "yellow triangle @ 0 -0.35 0.65 0.55; black bar @ 0 0.5 0.1 1.6",
    "hat": "black bar @ 0 0.55 1 0.8; black square @ 0 -0.05 0.5 0.6",
    "flower": "pink star; yellow round @ 0 0 0.34 0.34",
    "book": "green square @ 0 0 0.7 0.9; white bar @ 0 0 0.6 2.2",
    "ball": "white checkered round",
    "snail": "brown ring @ 0.2 0 0.6 0.6; gray bar @ -0.1 0.65 0.9 0.6",
    "anchor": "gray bar @ 0 -0.2 0.14 3.0; gray crescent @ 0 0.5 0.7 0.45",
    "pumpkin": "orange round @ 0 0.15 0.85 0.72; green bar @ 0 -0.7 0.14 0.9",
    "sign": "red square @ 0 -0.4 0.6 0.5; gray bar @ 0 0.5 0.1 1.9",
    "balloon": "red oval @ 0 -0.2 0.55 1.3; black bar @ 0 0.85 0.04 0.6",
    "candle": "white bar @ 0 0.25 0.28 2.7; orange diamond @ 0 -0.7 0.2 0.28",
}

COMMON: Mapping[str, Look] = {name: parse_look(text) for name, text in _COMMON.items()}
"""Common names and their look, in pre-training and tasks alike."""

NOUNS = ("thing", "object", "shape")
"""Generic nouns that any attribute may describe."""

_SYLLABLES = (
    "ba be bi bo da de di do fa fi fo ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri "
    "ro sa se si so ta te ti to va ve vi vo wa we wi za ze zi zo"
).split()
_ENDINGS = ("", "", "n", "x", "k", "p", "sh", "ck", "ll", "m")


def invented_word(rng: np.random.Generator) -> str:
    """A word of two or three syllables that means nothing."""
    count = int(rng.integers(2, 4))
    return "".join(_SYLLABLES[i] for i in rng.integers(0, len(_SYLLABLES), count)) + str(rng.choice(_ENDINGS))


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
