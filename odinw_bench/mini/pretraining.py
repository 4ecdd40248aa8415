"""What the nano models learn from: an endless, reproducible stream of scenes with words.

Item ``index`` depends on (kind, seed, index) alone, so that any part of the stream can be drawn at any time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odinw_bench.mini.backgrounds import BACKGROUNDS, Camera
from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES
from odinw_bench.mini.phrases import GLUE, Phrase, attribute_phrase, caption_of, matching, plural
from odinw_bench.mini.scenes import Scene, Wish, compose, generator
from odinw_bench.mini.world import COMMON, NOUNS, SHAPE_ADJECTIVES, invented_word, random_look

Kind = Literal["detection", "grounding", "captions"]

DETECTION_CLASSES: tuple[str, ...] = (*COMMON, *SHAPES)
"""The closed label list of the class-head baseline: common things by name, all others by shape."""

SIZE = (160, 160)

NEIGHBOURS = 16
"""So many consecutive items have prompts of about one length: a batch of them needs little padding."""

MOST_PHRASES: Mapping[int, float] = {3: 0.2, 6: 0.25, 10: 0.25, 15: 0.15, 20: 0.15}
"""The longest prompt of an item in phrases, and how often. Tasks have 1 to 20 classes."""

LONE_STRANGERS = 0.12
"""Share of prompts in which nothing is present: without them a detector learns that one of its words always fits."""


@dataclass(frozen=True)
class PretrainSample:
    """One training item; either ``prompt_parts`` (detection) or ``caption`` and ``spans`` (the others) are set.

    Attributes:
        image: RGB.
        boxes: float32 ``[M, 4]``, inclusive corners.
        labels: int64 ``[M]``, indices into the prompt's classes or the caption's phrases; -1 where none speaks of
            the box.
        class_labels: int64 ``[M]``, indices into :data:`DETECTION_CLASSES`; -1 where a box repeats an object that
            an earlier box has (several phrases may speak of one object).
        prompt_parts: prefix, name and suffix per class.
        caption: a sentence.
        spans: where its noun phrases stand in it, (first character, one past the last).
    """

    image: Image.Image
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_labels: NDArray[np.int64]
    prompt_parts: list[dict[str, str]] = field(default_factory=list)
    caption: str = ""
    spans: tuple[tuple[int, int], ...] = ()


def sample(kind: Kind, seed: int, index: int) -> PretrainSample:
    """Item ``index`` of a stream.

    Args:
        kind: ``detection`` (a prompt of class names, present and absent), ``grounding`` (a sentence with the boxes of
            its phrases, or a list of phrases that describe regions) or ``captions`` (a sentence as the web has them,
            without boxes).
        seed: of the stream.
        index: from 0, without end.
    """
    rng = generator("pretraining", kind, seed, index)
    together = generator("pretraining", "length", seed, index // NEIGHBOURS)
    most = int(together.choice(list(MOST_PHRASES), p=list(MOST_PHRASES.values())))
    return _KINDS[kind](random_scene(rng), rng, most)


def random_scene(rng: np.random.Generator) -> Scene:
    """Common and attribute-made things in any setting and light: few and large to many and tiny."""
    crowd = rng.random()
    if crowd < 0.15:
        count, low, high = int(rng.integers(1, 3)), 50.0, 125.0
    elif crowd < 0.75:
        count, low, high = int(rng.integers(2, 7)), 18.0, 72.0
    else:
        count, low, high = int(rng.integers(6, 13)), 10.0, 26.0
    wishes: list[Wish] = []
    names = list(COMMON)
    while len(wishes) < count:
        if rng.random() < 0.5:
            name = names[int(rng.integers(len(names)))]
            wish = Wish(COMMON[name], name, 0.0)
        else:
            wish = Wish(random_look(rng), None, 0.0)
        copies = 1 if rng.random() < 0.65 else int(rng.integers(2, 4))
        for _ in range(copies):
            size = math.exp(rng.uniform(math.log(low), math.log(high)))
            wishes.append(Wish(wish.look, wish.key, size))
    wishes.sort(key=lambda wish: -wish.size)
    thermal = rng.random() < 0.12
    camera = Camera(
        brightness=float(rng.uniform(0.85, 1.15)),
        contrast=float(rng.uniform(0.8, 1.2)),
        tint=tuple(rng.uniform(0.88, 1.1, 3).tolist()),
        thermal=thermal,
        blur=float(rng.uniform(0, 0.7)) if rng.random() < 0.25 else 0.0,
    )
    background = "cold" if thermal and rng.random() < 0.6 else str(rng.choice(list(BACKGROUNDS)))
    return compose(
        wishes,
        background=background,
        size=SIZE,
        camera=camera,
        rng=rng,
        turn=float(rng.choice([0.1, 0.25, 0.45])),
        overlap=float(rng.choice([0.05, 0.25, 0.4])),
    )


def is_grey(image: Image.Image) -> bool:
    """Whether a picture shows no colours."""
    pixel = np.asarray(image)[::16, ::16].astype(int)
    return bool((np.ptp(pixel, axis=2) <= 2).all())


def _detection(scene: Scene, rng: np.random.Generator, most: int) -> PretrainSample:
    """Class names alone: what is there, and names that a sampler takes from the rest of the label list."""
    names = [thing.key or thing.look.main.shape for thing in scene.things]
    phrases = [] if rng.random() < LONE_STRANGERS else [_class_phrase(name) for name in sorted({*names})]
    absent = rng.choice(DETECTION_CLASSES, int(rng.integers(1, most + 1)))
    phrases.extend(_class_phrase(str(name)) for name in absent if phrases or name not in names)
    phrases.extend(_strangers(rng, at_least=0 if phrases else 1))
    return _listed(scene, phrases, rng, most)


def _class_phrase(name: str) -> Phrase:
    if name in COMMON:
        return Phrase(name, common=name)
    return Phrase(f"{name} thing" if name in SHAPE_ADJECTIVES else name, shape=name)


def _strangers(rng: np.random.Generator, *, at_least: int = 0) -> list[Phrase]:
    """Invented words without attributes: true of nothing."""
    return [Phrase(invented_word(rng), meaningless=True) for _ in range(int(rng.integers(at_least, 3)))]


def _listed(scene: Scene, phrases: Sequence[Phrase], rng: np.random.Generator, most: int) -> PretrainSample:
    """A prompt of some of the phrases in any order; each owns everything it is true of."""
    unique = {phrase.text: phrase for phrase in phrases}
    kept = [phrase for phrase in unique.values() if matching(phrase, scene.things) is not None]
    kept = [kept[i] for i in rng.permutation(len(kept))][:most] or [Phrase(invented_word(rng), meaningless=True)]
    boxes, labels, classes = _boxes(scene, [(phrase, matching(phrase, scene.things) or []) for phrase in kept])
    return PretrainSample(scene.image, boxes, labels, classes, prompt_parts=[phrase.part for phrase in kept])


def _regions(scene: Scene, rng: np.random.Generator, most: int) -> PretrainSample:
    """Phrases that describe regions of the picture, common names among them, and phrases that are nearly true."""
    colourless = is_grey(scene.image)
    if rng.random() < LONE_STRANGERS:
        return _listed(scene, _strangers(rng, at_least=1), rng, most)
    names = sorted({thing.key for thing in scene.things if thing.key})  # sets have no stable order
    phrases = [Phrase(name=name, common=name) for name in names]
    phrases += [
        attribute_phrase(thing.look, rng, colourless=colourless)
        for thing in scene.things
        if thing.key is None and rng.random() < 0.85
    ]
    phrases += [Phrase(name=str(name), common=str(name)) for name in rng.choice(list(COMMON), int(rng.integers(0, 5)))]
    phrases += _nearly_true(scene, rng, colourless)
    while len(phrases) < most * 0.7:  # long lists: whatever else could be asked for
        phrases.append(attribute_phrase(random_look(rng), rng, colourless=colourless))
    return _listed(scene, [*phrases, *_strangers(rng)], rng, most)


def _nearly_true(scene: Scene, rng: np.random.Generator, colourless: bool) -> list[Phrase]:
    """Phrases that differ from something present in one attribute."""
    out = []
    for thing in scene.things:
        if thing.key is not None or rng.random() < 0.4:
            continue
        colour, texture, shape = thing.look.words()
        swap = int(rng.integers(3))
        if swap == 0 and not colourless:
            colour = str(rng.choice(list(COLOURS)))
        elif swap == 1:
            texture = str(rng.choice([t for t in TEXTURES if t != "plain"]))
        else:
            shape = str(rng.choice(list(SHAPES)))
        out.append(attribute_phrase((colour, texture, shape), rng, colourless=colourless))
    return out


def _boxes(
    scene: Scene, owned: Sequence[tuple[Phrase, Sequence[int]]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Boxes of every phrase's things, then those of things that no phrase names (for the class head alone)."""
    rows: list[tuple[int, int]] = [(i, label) for label, (_, things) in enumerate(owned) for i in things]
    named = {i for i, _ in rows}
    rows.extend((i, -1) for i in range(len(scene.things)) if i not in named)
    boxes = np.array([scene.things[i].box for i, _ in rows], np.float32).reshape(-1, 4)
    boxes[:, 2:] -= 1  # exclusive ends to inclusive corners
    seen: set[int] = set()
    classes = []
    for i, _ in rows:
        thing = scene.things[i]
        classes.append(-1 if i in seen else DETECTION_CLASSES.index(thing.key or thing.look.main.shape))
        seen.add(i)
    return boxes, np.array([label for _, label in rows], np.int64), np.array(classes, np.int64)


def _grounding(scene: Scene, rng: np.random.Generator, most: int) -> PretrainSample:
    """A sentence about some of the things, with its noun phrases and their boxes; or a list of region phrases."""
    if rng.random() < 0.6:
        return _regions(scene, rng, most)
    caption, spans, owners = caption_of(scene, rng, colourless=is_grey(scene.image), sizes=True)
    owned = [(Phrase(name=caption[a:b]), things) for (a, b), things in zip(spans, owners, strict=True)]
    boxes, labels, classes = _boxes(scene, owned)
    return PretrainSample(scene.image, boxes, labels, classes, [], caption, spans)


def _captions(scene: Scene, rng: np.random.Generator, most: int) -> PretrainSample:
    """A sentence as the web has them, with its noun phrases; the boxes are for a teacher to find."""
    del most  # sentences are short
    caption, spans, _ = caption_of(scene, rng, colourless=is_grey(scene.image), web=True)
    nothing = np.zeros(0, np.int64)
    return PretrainSample(scene.image, np.zeros((0, 4), np.float32), nothing, nothing, [], caption, spans)


_KINDS: Mapping[Kind, Callable[[Scene, np.random.Generator, int], PretrainSample]] = {
    "detection": _detection,
    "grounding": _grounding,
    "captions": _captions,
}


def pretraining_texts(count: int, seed: int) -> Iterator[str]:
    """Captions and prompts of the stream, for training a vocabulary: ``count`` of them, of each kind in turn."""
    kinds = tuple(_KINDS)
    for index in range(count):
        drawn = sample(kinds[index % len(kinds)], seed, index)
        yield drawn.caption or ". ".join(p["prefix"] + p["name"] + p["suffix"] for p in drawn.prompt_parts)


def vocabulary_words() -> set[str]:
    """Every word that pre-training can say, invented ones aside: what the models can have learnt by name."""
    nouns = {*COMMON, *SHAPES, *NOUNS}
    return nouns | {plural(noun) for noun in nouns} | set(COLOURS) | (set(TEXTURES) - {"plain"}) | GLUE
