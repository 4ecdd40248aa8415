"""The drawn data sets beside the thirteen tasks: ``mini-coco`` with names that pre-training shows, and ``mini-lvis``.

Nothing of them is in pre-training: its scenes have other seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from PIL import Image

from glip_core.errors import InputError
from odinw_bench.mini.backgrounds import BACKGROUNDS, Camera
from odinw_bench.mini.federated import federated
from odinw_bench.mini.many import many_classes
from odinw_bench.mini.recipes import Recipe, RecipeClass
from odinw_bench.mini.suite import draw_split
from odinw_bench.mini.world import COMMON

COCO, LVIS = "mini-coco", "mini-lvis"


def _coco() -> Recipe:
    """All common names, on every background."""
    classes = [
        RecipeClass(name, True, look, 1.0, {"prefix": "", "name": name, "suffix": ""})
        for name, look in sorted(COMMON.items())
    ]
    return _recipe(COCO, "Miniature COCO", {"train": 160, "val": 60, "test": 120}, tuple(classes))


def _lvis() -> Recipe:
    """Combinations of colour, texture and shape with a long tail."""
    classes = [
        RecipeClass(one.name, False, one.look, one.weight, {"prefix": "", "name": one.name, "suffix": ""})
        for one in many_classes()
    ]
    return _recipe(LVIS, "Miniature LVIS", {"test": 160}, tuple(classes))


def _recipe(name: str, title: str, images: Mapping[str, int], classes: tuple[RecipeClass, ...]) -> Recipe:
    return Recipe(
        name=name,
        title=title,
        size=(160, 160),
        backgrounds=tuple(BACKGROUNDS),
        camera=Camera(),
        images=images,
        count=(3, 6),
        length=(20.0, 52.0),
        clutter=(0, 0),
        clutter_length=(20.0, 52.0),
        turn=0.25,
        overlap=0.2,
        classes=classes,
    )


@lru_cache(maxsize=2)
def other_recipe(name: str) -> Recipe:
    """The recipe of :data:`COCO` or :data:`LVIS`."""
    return {COCO: _coco, LVIS: _lvis}[name]()


@lru_cache(maxsize=3)
def _drawn(name: str, split: str) -> tuple[str, dict[str, Image.Image]]:
    annotations, pictures = draw_split(other_recipe(name), split)
    if name == LVIS:
        annotations = federated(annotations, many_classes())
    return json.dumps(annotations), pictures


def render_other(name: str, split: str) -> tuple[dict[str, Any], Callable[[str], Image.Image]]:
    """A split of ``mini-coco`` or ``mini-lvis``.

    Args:
        name: :data:`COCO` or :data:`LVIS`.
        split: ``train``, ``val`` or ``test``; ``mini-lvis`` has ``test`` alone.

    Returns:
        its annotations, COCO's or LVIS' (with ``neg_category_ids``, ``not_exhaustive_category_ids`` and the
        categories' ``frequency``), and a function that gives the RGB picture of a file name.

    Raises:
        InputError: there is no such split; from the function: no such picture.
    """
    annotations, _ = _drawn(name, split)
    return json.loads(annotations), partial(_picture, name, split)


def _picture(name: str, split: str, file_name: str) -> Image.Image:
    _, pictures = _drawn(name, split)
    if file_name not in pictures:
        raise InputError(f"'{name}', split '{split}', has no picture '{file_name}'")
    return pictures[file_name].copy()
