"""What can be said of a scene: names, attribute phrases, invented names with attributes, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odinw_bench.mini.draw import Look
from odinw_bench.mini.scenes import Scene, Thing
from odinw_bench.mini.world import COMMON, NOUNS, SHAPE_ADJECTIVES, invented_word, shape_adjective

SMALL, LARGE = 22.0, 50.0
"""Lengths in pixels under and over which a thing is called small or large."""


@dataclass(frozen=True)
class Phrase:
    """A phrase of a prompt and what it is true of.

    Attributes:
        name: the words whose tokens stand for the class.
        prefix, suffix: words beside it.
        common: the common thing it names.
        colour, texture, shape, extent: attributes it demands; None: any. ``extent`` is "small" or "large".
        meaningless: an invented word without attributes; true of nothing.
    """

    name: str
    prefix: str = ""
    suffix: str = ""
    common: str | None = None
    colour: str | None = None
    texture: str | None = None
    shape: str | None = None
    extent: str | None = None
    meaningless: bool = False

    @property
    def text(self) -> str:
        """All of its words."""
        return self.prefix + self.name + self.suffix

    @property
    def part(self) -> dict[str, str]:
        """As a part of a prompt."""
        return {"prefix": self.prefix, "name": self.name, "suffix": self.suffix}


def matching(phrase: Phrase, things: Sequence[Thing]) -> list[int] | None:
    """Which things a phrase is true of; None where that is a matter of taste and the phrase had better not be used.

    Common things have attributes too (a fish is orange), but nobody would say which; a phrase that would match
    one is dropped, as is one whose size lies near the bounds.
    """
    if phrase.meaningless:
        return []
    if phrase.common:
        return [i for i, thing in enumerate(things) if thing.key == phrase.common]
    found = []
    for i, thing in enumerate(things):
        colour, texture, shape = thing.look.words()
        fits = phrase.colour in (None, colour) and phrase.texture in (None, texture) and phrase.shape in (None, shape)
        if not fits:
            continue
        if thing.key is not None:
            return None
        if phrase.extent:
            longer = max(thing.box[2] - thing.box[0], thing.box[3] - thing.box[1])
            if abs(longer - (SMALL if phrase.extent == "small" else LARGE)) < 4:
                return None
            if (longer < SMALL) != (phrase.extent == "small") or (longer > LARGE) != (phrase.extent == "large"):
                continue
        found.append(i)
    return found


def attribute_phrase(look: Look | tuple[str, str, str], rng: np.random.Generator, *, colourless: bool) -> Phrase:
    """A phrase that describes a look, more or less precisely, in one of several forms."""
    colour, texture, shape = look.words() if isinstance(look, Look) else look
    said_colour = None if colourless or rng.random() < 0.15 else colour
    said_texture = None if texture == "plain" or rng.random() < 0.2 else texture
    form = rng.random()
    # "red ring" may mean a striped one too, but "plain" is never said.
    if form < 0.35:  # the shape is the noun: "red striped ring"
        noun = f"{shape} thing" if shape in SHAPE_ADJECTIVES else shape
        words = [w for w in (said_colour, said_texture, noun) if w]
        return Phrase(" ".join(words), colour=said_colour, texture=said_texture, shape=shape)
    said_shape = None if (said_colour and rng.random() < 0.2) else shape
    adjectives = [w for w in (said_colour, said_texture, shape_adjective(said_shape) if said_shape else None) if w]
    if not adjectives:
        adjectives, said_shape = [shape_adjective(shape)], shape
    noun = invented_word(rng) if rng.random() < 0.8 else str(rng.choice(NOUNS))
    rng.shuffle(adjectives)
    if form < 0.75:
        prefix, suffix = "", f", which is {' and '.join(adjectives)}"
    elif form < 0.9:
        prefix, suffix = " ".join(adjectives) + " ", ""
    else:
        prefix, suffix = "a ", f" that is {' and '.join(adjectives)}"
    return Phrase(noun, prefix, suffix, colour=said_colour, texture=said_texture, shape=said_shape)


_COUNTS = ("", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SIDES = {"across": (" left of ", " right of "), "down": (" above ", " below ")}
_NOTHING = "nothing to see here"

# What captions from the web have around them. A blank is as good as the words: most have only some.
_OPENERS = ("", "", "", "a photo of ", "picture with ", "here is ", "we saw ", "look, ")
_CLOSERS = ("", "", "", " in the morning", " at night", ", so nice", " on our way home", " for sale")

GLUE = frozenset(
    f"{' '.join((*_COUNTS, *_OPENERS, *_CLOSERS, *_SIDES['across'], *_SIDES['down'], _NOTHING))} "
    "a an and is shaped small large some that which".replace(",", " ").split()
)
"""The words of prompts and captions that name nothing."""


def plural(noun: str) -> str:
    """More than one of a noun."""
    if noun.endswith("sheep"):
        return noun
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")


def claim_of(
    thing: Thing, rng: np.random.Generator, *, colourless: bool, web: bool = False, sizes: bool = False
) -> Phrase:
    """What a sentence says of a thing: its common name, or its attributes.

    Writers of web captions (``web``) leave attributes out; with ``sizes`` the size is mentioned now and then.
    """
    if thing.key is not None:
        return Phrase(thing.key, common=thing.key)
    colour, texture, shape = thing.look.words()
    said_colour = None if colourless else colour
    said_texture = None if texture == "plain" else texture
    extent = None
    if web:
        said_colour = None if rng.random() < 0.25 else said_colour
        said_texture = None if rng.random() < 0.4 else said_texture
    if sizes and rng.random() < 0.4:
        longer = max(thing.box[2] - thing.box[0], thing.box[3] - thing.box[1])
        extent = "small" if longer < SMALL else "large" if longer > LARGE else None
    noun = f"{shape} thing" if shape in SHAPE_ADJECTIVES else shape
    words = " ".join(w for w in (extent, said_colour, said_texture, noun) if w)
    return Phrase(words, colour=said_colour, texture=said_texture, shape=shape, extent=extent)


def counted(noun: str, number: int, rng: np.random.Generator) -> str:
    """The noun with its article, its number, or "some"."""
    if number == 1:
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    amount = _COUNTS[number] if number < len(_COUNTS) and rng.random() < 0.7 else "some"
    return f"{amount} {plural(noun)}"


def caption_of(
    scene: Scene, rng: np.random.Generator, *, colourless: bool, web: bool = False, sizes: bool = False
) -> tuple[str, tuple[tuple[int, int], ...], list[list[int]]]:
    """A sentence about a scene.

    Args:
        scene: what it is about.
        rng: decides what is said.
        colourless: whether the picture is grey, so that colours cannot be seen.
        web: as found on the web: vaguer, with words around it, and now and then naming what is not there.
        sizes: whether the size of a thing may be mentioned; on the web it always may.

    Returns:
        The sentence, the spans of its noun phrases, and per phrase the things it speaks of.
    """
    groups: list[tuple[str, list[int]]] = []
    taken: set[int] = set()
    for i in rng.permutation(len(scene.things)):
        if int(i) in taken or len(groups) == 5:
            continue
        claim = claim_of(scene.things[int(i)], rng, colourless=colourless, web=web, sizes=sizes or web)
        found = matching(claim, scene.things)
        if not found:
            continue
        groups.append((counted(claim.name, len(found), rng), found))
        taken.update(found)
    if web and rng.random() < 0.15:
        present = {thing.key for thing in scene.things}
        absent = [name for name in COMMON if name not in present]
        groups.append((counted(absent[int(rng.integers(len(absent)))], 1, rng), []))
    if not groups:
        return _NOTHING, ((0, len("nothing")),), [[]]
    caption, spans, owners = str(rng.choice(_OPENERS)) if web else "", [], []
    for n, (text, found) in enumerate(groups):
        if n:
            caption += _joint(scene, groups[n - 1][1], found, rng, last=n == len(groups) - 1)
        spans.append((len(caption), len(caption) + len(text)))
        owners.append(found)
        caption += text
    return caption + (str(rng.choice(_CLOSERS)) if web else ""), tuple(spans), owners


def _joint(scene: Scene, before: Sequence[int], now: Sequence[int], rng: np.random.Generator, *, last: bool) -> str:
    """What stands between two noun phrases: a true relation where both are single things, else "and"."""
    if len(before) == 1 and len(now) == 1 and rng.random() < 0.6:
        return relation(scene.things[before[0]], scene.things[now[0]])
    return " and " if last else ", "


def relation(first: Thing, second: Thing) -> str:
    """How the first thing lies to the second, by their centres, with the blanks around the words."""
    a, b = first.box, second.box
    across, down = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    direction, distance = ("across", across) if abs(across) > abs(down) else ("down", down)
    return _SIDES[direction][0 if distance > 0 else 1]
