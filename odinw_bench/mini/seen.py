"""A few drawn images of each task's seen names: what a model knew before it was tuned on another task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

from PIL import Image

from odinw_bench.mini.recipes import load_recipe, task_names
from odinw_bench.mini.suite import draw_split

IMAGES = 16
"""Of each task, at most: the first of its test split that show a seen name."""


def seen_tasks() -> list[str]:
    """The tasks with a name that pre-training shows, sorted."""
    return [name for name in task_names() if any(one.seen for one in load_recipe(name).classes)]


def render_seen(name: str) -> tuple[dict[str, Any], Callable[[str], Image.Image]]:
    """The first images of a task's test split, with the objects of its seen names alone.

    Args:
        name: one of :func:`seen_tasks`.

    Returns:
        COCO annotations whose categories are the seen names under the task's ids, and a function that gives the RGB
        picture of a file name.
    """
    annotations, _ = _rendered(name)
    return {**annotations, "images": [*annotations["images"]]}, partial(_picture, name)


@cache  # 1 MB a task
def _rendered(name: str) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    recipe = load_recipe(name)
    seen = {number for number, one in enumerate(recipe.classes, start=1) if one.seen}
    whole, pictures = draw_split(replace(recipe, images={"test": min(2 * IMAGES, recipe.images["test"])}), "test")
    boxes = [box for box in whole["annotations"] if box["category_id"] in seen]
    shown = {box["image_id"] for box in boxes}
    images = [image for image in whole["images"] if image["id"] in shown][:IMAGES]
    kept = {image["id"] for image in images}
    annotations = {
        **whole,
        "images": images,
        "annotations": [box for box in boxes if box["image_id"] in kept],
        "categories": [entry for entry in whole["categories"] if entry["id"] in seen],
    }
    return annotations, {image["file_name"]: pictures[image["file_name"]] for image in images}


def _picture(name: str, file_name: str) -> Image.Image:
    """One picture; looked up each time, so that whoever keeps the function keeps no pictures."""
    return _rendered(name)[1][file_name].copy()
