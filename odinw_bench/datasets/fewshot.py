"""k-shot subsets by the official sampling rule."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import ImageId, learnable_boxes, trainable_ids
from odinw_bench.utils.text import shorten

Shots = int | Literal["all"]


def pick_shots(
    annotations: Mapping[str, Any], shots: int | Literal["all"], seed: int = 3, *, learnable: bool = False
) -> list[ImageId]:
    """Pick the images of a k-shot subset.

    The usable images (:func:`odinw_bench.datasets.annotations.trainable_ids`), ascending, are shuffled by Python's
    generator unless the seed is 0. One pass then takes each image that has a category of which fewer than
    ``shots`` images were seen, and counts it for *all* of its categories. So k counts images per category, not
    boxes; frequent categories end up with more than k images, rare ones with all they have; a taken image keeps
    all of its boxes.

    Args:
        annotations: COCO annotations.
        shots: images per category: 0 picks none, ``"all"`` every usable image, ascending.
        seed: of the shuffle; the official ones are 3, 30 and 300.
        learnable: count an image for the categories of the boxes that training uses
            (:func:`odinw_bench.datasets.annotations.learnable_boxes`) alone. The official rule, the default, also
            counts crowd boxes and boxes without extent, from which nothing is learnt.

    Returns:
        image ids in the order picked.

    Raises:
        InputError: ``shots`` or ``seed`` is neither a whole number of at least 0 nor (``shots``) ``"all"``.
    """
    ids = trainable_ids(annotations)
    if shots == "all":
        return ids
    for name, value in (("shots", shots), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            alternative = " or 'all'" if name == "shots" else ""
            raise InputError(f"{name} must be a whole number of at least 0{alternative}, not {shorten(value)}")
    if seed != 0:
        random.Random(seed).shuffle(ids)
    categories_of: dict[ImageId, set[Any]] = defaultdict(set)
    boxes = annotations["annotations"]
    for box in itertools.compress(boxes, learnable_boxes(annotations)) if learnable else boxes:
        categories_of[box["image_id"]].add(box["category_id"])
    seen: dict[Any, int] = defaultdict(int)
    picked = []
    for image_id in ids:
        categories = categories_of[image_id]
        if any(seen[category] < shots for category in categories):
            picked.append(image_id)
            for category in categories:
                seen[category] += 1
    return picked
