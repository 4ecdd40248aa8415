"""The miniature tasks as COCO data: drawn in memory, or written as ordinary folders."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glip_core.errors import InputError
from odinw_bench.miniature.draw import Look
from odinw_bench.miniature.recipes import Recipe, load_recipe, task_names
from odinw_bench.miniature.scenes import Scene, Wish, compose, generator
from odinw_bench.miniature.world import random_look

VERSION = 1
"""Part of every scene's seed; a new number is a new suite."""

SPLITS = ("train", "val", "test")
_FOLDERS = {"train": "train", "val": "valid", "test": "test"}


def draw_scene(recipe: Recipe, split: str, index: int) -> Scene:
    """Scene ``index`` of a split; it depends on the recipe, the split and the index alone."""
    rng = generator("mini", VERSION, recipe.name, split, index)
    classes = recipe.classes
    weights = np.array([c.weight for c in classes])
    wishes = []
    for i in range(int(rng.integers(recipe.count[0], recipe.count[1] + 1))):
        # The first object goes round the classes, so that rare ones have enough pictures for ten shots.
        chosen = (
            classes[index % len(classes)] if i == 0 else classes[rng.choice(len(classes), p=weights / weights.sum())]
        )
        wishes.append(Wish(chosen.look, chosen.name, _length(recipe, rng)))
    clutter = int(rng.integers(recipe.clutter[0], recipe.clutter[1] + 1))
    wishes += [Wish(_clutter(recipe, rng), None, _length(recipe, rng)) for _ in range(clutter)]
    wishes.sort(key=lambda wish: -wish.size)  # large things find room first, and lie behind small ones
    background = recipe.backgrounds[int(rng.integers(len(recipe.backgrounds)))]
    return compose(
        wishes,
        background=background,
        size=recipe.size,
        camera=recipe.camera,
        rng=rng,
        turn=recipe.turn,
        overlap=recipe.overlap,
    )


def _length(recipe: Recipe, rng: np.random.Generator) -> float:
    low, high = recipe.length
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _clutter(recipe: Recipe, rng: np.random.Generator) -> Look:
    """A thing that shares at most one attribute with any class."""
    while True:
        look = random_look(rng)
        if all(len(set(look.words()) & set(c.look.words())) <= 1 for c in recipe.classes):
            return look


@lru_cache(maxsize=64)
def _annotations(name: str, split: str) -> str:
    recipe = load_recipe(name)
    if split not in recipe.images:
        raise InputError(f"miniature task '{name}' has no split '{split}'; it has {', '.join(recipe.images)}")
    ids = {c.name: i for i, c in enumerate(recipe.classes, start=1)}
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for index in range(recipe.images[split]):
        width, height = recipe.size
        images.append({"id": index + 1, "file_name": f"{split}_{index + 1:04d}.png", "width": width, "height": height})
        for thing in draw_scene(recipe, split, index).things:
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
    return json.dumps(
        {
            "info": {"description": f"{recipe.title}: drawn by odinw-bench, not real data", "version": str(VERSION)},
            "images": images,
            "annotations": boxes,
            "categories": [{"id": i, "name": name, "supercategory": "miniature"} for name, i in ids.items()],
        }
    )


def render_split(name: str, split: str) -> tuple[dict[str, Any], Callable[[str], Image.Image]]:
    """A split of a miniature task.

    Args:
        name: one of :func:`~odinw_bench.miniature.recipes.task_names`.
        split: ``train``, ``val`` or ``test``.

    Returns:
        Its COCO annotations, and a function that draws the picture of a file name.

    Raises:
        InputError: no such task, split or picture.
    """
    annotations = json.loads(_annotations(name, split))
    recipe = load_recipe(name)
    indices = {image["file_name"]: image["id"] - 1 for image in annotations["images"]}

    def draw(file_name: str) -> Image.Image:
        if file_name not in indices:
            raise InputError(f"miniature task '{name}', split '{split}', has no picture '{file_name}'")
        return draw_scene(recipe, split, indices[file_name]).image

    return annotations, draw


def write_suite(
    out: Path, tasks: Sequence[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Write tasks as ordinary COCO folders, ``<out>/<task>/{train,valid,test}/``, with the embedded suite's pixels.

    Args:
        out: where to.
        tasks: which ones; by default all.
        progress: told the folder of every finished split.

    Returns:
        The annotation files; each is written after its pictures, so a folder that has one is whole.
    """
    written = []
    for name in task_names() if tasks is None else tasks:
        for split in SPLITS:
            annotations, draw = render_split(name, split)
            folder = out / name / _FOLDERS[split]
            folder.mkdir(parents=True, exist_ok=True)
            for image in annotations["images"]:
                draw(image["file_name"]).save(folder / image["file_name"], compress_level=1)
            path = folder / "annotations_without_background.json"
            temporary = path.with_suffix(f".{os.getpid()}.part")
            temporary.write_text(json.dumps(annotations))
            temporary.replace(path)
            written.append(path)
            if progress:
                progress(str(folder))
    return written


def contact_sheet(tasks: Sequence[str] | None = None, columns: int = 6, *, split: str = "train") -> Image.Image:
    """A picture of some scenes of each task, with their boxes: a row a task."""
    names = task_names() if tasks is None else list(tasks)
    tile, label, gap = 200, 26, 6
    sheet = Image.new("RGB", (columns * (tile + gap) + gap, len(names) * (tile + label + gap)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, name in enumerate(names):
        recipe = load_recipe(name)
        annotations, draw = render_split(name, split)
        top = row * (tile + label + gap)
        words = ", ".join(f"{c.name}{'' if c.seen else '*'}" for c in recipe.classes)
        pen.text((gap, top + 4), f"{recipe.title}: {words}"[:170], fill="black", font=font)
        for column, image in enumerate(annotations["images"][:columns]):
            picture = draw(image["file_name"])
            scale = tile / max(picture.size)
            picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
            boxes = ImageDraw.Draw(picture)
            for box in annotations["annotations"]:
                if box["image_id"] == image["id"]:
                    x, y, w, h = (scale * v for v in box["bbox"])
                    boxes.rectangle((x, y, x + w, y + h), outline=(0, 255, 90))
            sheet.paste(picture, (gap + column * (tile + gap), top + label))
    return sheet
