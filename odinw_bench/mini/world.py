"""The words of the miniature world: common things with a look, attributes, and invented words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES, Look, parse_look
from odinw_bench.utils.paths import tasks_folder

_COMMON = yaml.safe_load((Path(__file__).parent / "common.yaml").read_text(encoding="utf-8"))

COMMON: Mapping[str, Look] = {name: parse_look("; ".join(parts)) for name, parts in _COMMON.items()}
"""Common names and their look, in pre-training and tasks alike."""

NOUNS = ("thing", "object", "shape")
"""Generic nouns that any attribute may describe."""

# Invented words must look like any word, not like words of one kind: a model would learn that kind and take all others
# for names of something.
_ONSETS = 3 * "b c d f g h j k l m n p r s t v w z".split() + (  # noqa: SIM905
    "bl br ch cl cr dr fl fr gl gr ph pl pr qu sc sh sk sl sn sp st str sw th tr wh".split()  # noqa: SIM905
)
_NUCLEI = "a a a e e e i i i o o o u u ai ea ee ie oa oo ou".split()  # noqa: SIM905
_CODAS = 24 * [""] + "b ck d ff g l ll m n n nd ng nk nt p r r rd rk rm rn rt s sh ss st t t th x".split()  # noqa: SIM905


INVENTED = re.compile(
    f"(?:(?:{'|'.join(sorted({*_ONSETS}))})(?:{'|'.join(sorted({*_NUCLEI}))})(?:{'|'.join(sorted({*_CODAS}))})){{2,3}}s?"
)
"""What an invented word can be (and, by chance, a few common names: "sofa", "kite")."""


def invented_word(rng: np.random.Generator) -> str:
    """A word of two or three syllables, now and then a plural, that means nothing."""
    while True:
        count = 2 if rng.random() < 0.8 else 3
        word = "".join(
            str(part[int(rng.integers(len(part)))]) for _ in range(count) for part in (_ONSETS, _NUCLEI, _CODAS)
        )
        if rng.random() < 0.2:
            word += "s"
        if word not in COMMON and word not in reserved_words():
            return word


@lru_cache(maxsize=1)
def reserved_words() -> frozenset[str]:
    """The words of the tasks' names that pre-training must never say, in lower case."""
    return frozenset(
        word
        for path in sorted((tasks_folder() / "mini").glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["classes"]
        if not entry["seen"]
        for word in re.findall("[a-z]+", entry["name"].lower())
    )


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
