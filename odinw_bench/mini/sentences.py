"""Sentences about scenes that pre-training never drew: the miniature's phrase grounding and referring expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from glip_core.errors import InputError
from odinw_bench.mini.phrases import caption_of, claim_of, counted, matching, relation
from odinw_bench.mini.pretraining import is_grey, random_scene
from odinw_bench.mini.scenes import Scene, Thing, generator

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

VERSION = 1
"""Part of every scene's seed; a new number is a new suite."""

IMAGES: Mapping[str, int] = {"val": 100, "test": 200}
SENTENCES = 2
"""About each picture of the phrase grounding suite; of expressions at most as many."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnPhrase:
    """A phrase and what it means.

    Attributes:
        span: first character and one past the last.
        boxes: inclusive corners.
        types: ``named`` (a common thing) or ``described`` (by attributes), and ``one`` or ``several``; of an
            expression ``name``, ``attributes`` or ``relation``: what it takes to tell the object from the others.
    """

    span: tuple[int, int]
    boxes: tuple[Corners, ...]
    types: tuple[str, ...]


@dataclass(frozen=True)
class DrawnSentence:
    """A sentence with its phrases; of an expression the whole, and its head noun phrase."""

    text: str
    phrases: tuple[DrawnPhrase, ...]


@dataclass(frozen=True)
class DrawnPicture:
    """A picture and what is said of it."""

    file_name: str
    image: Image.Image
    sentences: tuple[DrawnSentence, ...] = field(default=())


def grounding_sentences(scene: Scene, rng: np.random.Generator) -> tuple[DrawnSentence, ...]:
    """Sentences of the pre-training grammar about a scene; none where there is nothing to say."""
    found = {}
    for _ in range(4 * SENTENCES):
        text, spans, owners = caption_of(scene, rng, colourless=is_grey(scene.image), sizes=True)
        phrases = [
            DrawnPhrase(span, _boxes(scene, things), _types(scene, things))
            for span, things in zip(spans, owners, strict=True)
            if things
        ]
        if phrases:
            found[text] = DrawnSentence(text, tuple(phrases))
        if len(found) == SENTENCES:
            break
    return tuple(found.values())


def expressions(scene: Scene, rng: np.random.Generator) -> tuple[DrawnSentence, ...]:
    """Expressions that are true of one object of a scene: by its name, its attributes, or how it lies to another."""
    found: dict[str, DrawnSentence] = {}
    for number in rng.permutation(len(scene.things)):
        made = _expression(scene, int(number), rng)
        if made is not None:
            found.setdefault(made.text, made)
        if len(found) == SENTENCES:
            break
    return tuple(found.values())


def _expression(scene: Scene, number: int, rng: np.random.Generator) -> DrawnSentence | None:
    thing = scene.things[number]
    claim = claim_of(thing, rng, colourless=is_grey(scene.image))
    alike = matching(claim, scene.things)
    if not alike:  # a matter of taste
        return None
    head = counted(claim.name, 1, rng)
    box = (_corners(thing),)
    if len(alike) == 1:
        kind = "name" if thing.key is not None else "attributes"
        whole = DrawnPhrase((0, len(head)), box, (kind,))
        return DrawnSentence(head, (whole, whole))
    for other in rng.permutation(len(scene.things)):
        landmark = scene.things[int(other)]
        said = claim_of(landmark, rng, colourless=is_grey(scene.image))
        if int(other) in alike or matching(said, scene.things) != [int(other)]:
            continue
        words = relation(thing, landmark)
        if sum(relation(scene.things[i], landmark) == words for i in alike) > 1:
            continue
        text = f"{head}{words}{counted(said.name, 1, rng)}"
        kinds = ("relation",)
        return DrawnSentence(text, tuple(DrawnPhrase((0, len(part)), box, kinds) for part in (text, head)))
    return None


def _boxes(scene: Scene, things: Sequence[int]) -> tuple[Corners, ...]:
    return tuple(_corners(scene.things[number]) for number in things)


def _corners(thing: Thing) -> Corners:
    """Inclusive, as the corners of Flickr30k Entities are."""
    x1, y1, x2, y2 = thing.box
    return (x1, y1, x2 - 1, y2 - 1)


def _types(scene: Scene, things: Sequence[int]) -> tuple[str, ...]:
    named = scene.things[things[0]].key is not None
    return ("named" if named else "described", "one" if len(things) == 1 else "several")


KINDS: Mapping[str, Callable[[Scene, np.random.Generator], tuple[DrawnSentence, ...]]] = {
    "mini-flickr": grounding_sentences,
    "mini-refexp": expressions,
}
"""What is said of a scene, by suite."""


@lru_cache(maxsize=2)
def _drawn(suite: str, split: str) -> dict[str, DrawnPicture]:
    pictures: dict[str, DrawnPicture] = {}
    for index in range(IMAGES[split]):
        rng = generator(suite, VERSION, split, index)
        scene = random_scene(rng)
        name = f"{split}_{index + 1:04d}.png"
        pictures[name] = DrawnPicture(name, scene.image, KINDS[suite](scene, rng))
    return pictures


def render_sentences(suite: str, split: str) -> tuple[list[DrawnPicture], Callable[[str], Image.Image]]:
    """The pictures of a split, the same on every machine.

    Args:
        suite: a key of :data:`KINDS`.
        split: a key of :data:`IMAGES`.

    Returns:
        the pictures in their order, and a function that gives the picture of a file name.

    Raises:
        InputError: no such split; from the function: no such picture.
    """
    if split not in IMAGES:
        raise InputError(f"miniature '{suite}' has no split '{split}'; it has {', '.join(IMAGES)}")
    return list(_drawn(suite, split).values()), partial(_picture, suite, split)


def _picture(suite: str, split: str, file_name: str) -> Image.Image:
    """One picture; looked up each time, so that the function can be sent to other processes."""
    drawn = _drawn(suite, split)
    if file_name not in drawn:
        raise InputError(f"miniature '{suite}', split '{split}', has no picture '{file_name}'")
    return drawn[file_name].image.copy()
