"""The miniature tasks as COCO data, drawn in memory: the same pixels and boxes on every machine."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.mini.draw import Look
from odinw_bench.mini.recipes import Recipe, load_recipe
from odinw_bench.mini.scenes import Scene, Wish, compose, generator
from odinw_bench.mini.world import random_look

VERSION = 1
"""Part of every scene's seed; a new number is a new suite."""


def draw_scene(recipe: Recipe, split: str, index: int) -> Scene:
    """Scene ``index`` of a split; it depends on the recipe, the split and the index alone."""
    rng = generator("mini", VERSION, recipe.name, split, index)
    classes = recipe.classes
    weights = np.array([c.weight for c in classes])
    objects = []
    for i in range(int(rng.integers(recipe.count[0], recipe.count[1] + 1))):
        # The first object goes round the classes, so that rare ones have enough pictures for ten shots.
        chosen = (
            classes[index % len(classes)] if i == 0 else classes[rng.choice(len(classes), p=weights / weights.sum())]
        )
        objects.append(Wish(chosen.look, chosen.name, _length(recipe.length, rng)))
    amount = int(rng.integers(recipe.clutter[0], recipe.clutter[1] + 1))
    clutter = [Wish(_clutter(recipe, rng), None, _length(recipe.clutter_length, rng)) for _ in range(amount)]
    background = recipe.backgrounds[int(rng.integers(len(recipe.backgrounds)))]
    return compose(
        # Large things find room first, and lie behind small ones; clutter takes the room that is left, or no picture
        # could be sure of an object.
        [*sorted(objects, key=_shorter_last), *sorted(clutter, key=_shorter_last)],
        background=background,
        size=recipe.size,
        camera=recipe.camera,
        rng=rng,
        turn=recipe.turn,
        overlap=recipe.overlap,
    )


def _shorter_last(wish: Wish) -> float:
    return -wish.size


def _length(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = bounds
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _clutter(recipe: Recipe, rng: np.random.Generator) -> Look:
    """A thing that shares at most one attribute with any class."""
    while True:
        look = random_look(rng)
        if all(len(set(look.words()) & set(c.look.words())) <= 1 for c in recipe.classes):
            return look


@lru_cache(maxsize=4)  # the splits of the task at hand; a split's pictures take 3 to 10 MB
def _rendered(name: str, split: str) -> tuple[str, dict[str, Image.Image]]:
    """The annotations as JSON and the pictures by file name: boxes are only known once all is drawn."""
    annotations, pictures = draw_split(load_recipe(name), split)
    return json.dumps(annotations), pictures


@lru_cache(maxsize=64)  # all of the suite: 60 kB each, and many ask for nothing else, one task after the other
def _annotations(name: str, split: str) -> str:
    return _rendered(name, split)[0]


def draw_split(recipe: Recipe, split: str) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """COCO annotations of a recipe's split, and the pictures by file name.

    Raises:
        InputError: the recipe has no such split.
    """
    if split not in recipe.images:
        raise InputError(f"miniature task '{recipe.name}' has no split '{split}'; it has {', '.join(recipe.images)}")
    ids = {c.name: i for i, c in enumerate(recipe.classes, start=1)}
    width, height = recipe.size
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    pictures = {}
    for index in range(recipe.images[split]):
        file_name = f"{split}_{index + 1:04d}.png"
        images.append({"id": index + 1, "file_name": file_name, "width": width, "height": height})
        scene = draw_scene(recipe, split, index)
        pictures[file_name] = scene.image
        for thing in scene.things:
            if thing.key is None:
                continue
            x1, y1, x2, y2 = thing.box
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": index + 1,
                    "category_id": ids[thing.key],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    annotations = {
        "info": {"description": f"{recipe.title}: drawn by odinw-bench, not real data", "version": str(VERSION)},
        "images": images,
        "annotations": boxes,
        "categories": [{"id": i, "name": name, "supercategory": "miniature"} for name, i in ids.items()],
    }
    return annotations, pictures


def render_split(name: str, split: str) -> tuple[dict[str, Any], Callable[[str], Image.Image]]:
    """A split of a miniature task.

    Args:
        name: one of :func:`~odinw_bench.mini.recipes.task_names`.
        split: ``train``, ``val`` or ``test``.

    Returns:
        Its COCO annotations, and a function that gives the RGB picture of a file name. Both are the caller's own:
        changing them changes nothing here.

    Raises:
        InputError: no such task or split; from the function: no such picture.
    """
    return json.loads(_annotations(name, split)), partial(_picture, name, split)


def _picture(name: str, split: str, file_name: str) -> Image.Image:
    """One picture; looked up each time, so that a caller who keeps the function keeps no pictures."""
    _, pictures = _rendered(name, split)
    if file_name not in pictures:
        raise InputError(f"miniature task '{name}', split '{split}', has no picture '{file_name}'")
    return pictures[file_name].copy()
