"""Exact annotations made federated, as LVIS' are: each image is judged in some of the categories, not in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from odinw_bench.mini.many import ManyClass
from odinw_bench.mini.scenes import generator

UNLOOKED = 0.15
"""Share of the categories in an image that nobody looked for: their boxes are left out, and nothing says so."""

NEGATIVES = 8
"""Categories of an image that were looked for and are not in it."""


def federated(annotations: Mapping[str, Any], classes: Sequence[ManyClass]) -> dict[str, Any]:
    """Annotations in LVIS' form.

    The category that an image is drawn for (they take turns) is always looked for, so that none is lost. Where a
    category has several boxes in an image, one of them may be left out; the category is then in
    ``not_exhaustive_category_ids``.

    Args:
        annotations: COCO annotations with every box.
        classes: in the order of the categories.
    """
    rng = generator("mini-lvis", "federated")
    present: dict[int, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for box in annotations["annotations"]:
        present[box["image_id"]][box["category_id"]].append(box)
    every = [category["id"] for category in annotations["categories"]]
    images, kept = [], []
    for image in annotations["images"]:
        here = present[image["id"]]
        open_ids = []
        turn = every[(image["id"] - 1) % len(every)]
        for category, boxes in here.items():
            if category != turn and rng.random() < UNLOOKED:
                continue
            if len(boxes) > 1 and rng.random() < 0.5:
                open_ids.append(category)
                kept += boxes[:-1]
            else:
                kept += boxes
        absent = [category for category in every if category not in here]
        negative = sorted(int(one) for one in rng.choice(absent, NEGATIVES, replace=False))
        images.append({**image, "neg_category_ids": negative, "not_exhaustive_category_ids": sorted(open_ids)})
    numbered = [{**box, "id": number} for number, box in enumerate(kept, start=1)]
    categories = [
        {**category, "frequency": one.frequency}
        for category, one in zip(annotations["categories"], classes, strict=True)
    ]
    return {**annotations, "images": images, "annotations": numbered, "categories": categories}
