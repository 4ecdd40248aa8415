"""COCO's evaluation by hotcoco, which gives pycocotools' numbers to the last bit in a fortieth of the time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from odinw_bench.datasets.annotations import Annotations

VARIABLE = "ODINW_EVALUATOR"
"""Environment variable: ``pycocotools`` has the reference used although hotcoco is installed."""

REFERENCE = "pycocotools"

LEAST_MAX_DETECTIONS = 100
"""For smaller limits it is not used: with a limit of 1 its numbers were others."""


def evaluator() -> str:
    """What evaluates: ``pycocotools``, or ``hotcoco`` with its version where it is installed (the extra ``fast``)."""
    found = None if os.environ.get(VARIABLE) == REFERENCE else _version()
    return f"hotcoco {found}" if found else REFERENCE


@cache
def _version() -> str | None:
    try:
        return version("hotcoco")
    except PackageNotFoundError:
        return None


def accumulated(
    annotations: Annotations, results: Sequence[Mapping[str, Any]], max_detections: int
) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays ``precision`` and ``recall`` as pycocotools' ``accumulate`` gives them.

    Args:
        annotations: as :func:`odinw_bench.metrics.coco.check_pair` gives them, annotation ids from 1.
        results: likewise.
        max_detections: of an image and class, best first; the arrays' last axis holds this one number alone.
    """
    from hotcoco import COCO, COCOeval

    # It wants whole numbers that fit 64 bits, in the order in which pycocotools sorts the ids: of images they may be
    # text, of categories below 0.
    places = {image: place for place, image in enumerate(sorted(image["id"] for image in annotations["images"]))}
    classes = {one: place for place, one in enumerate(sorted(one["id"] for one in annotations["categories"]))}

    def placed(box: Mapping[str, Any]) -> dict[str, Any]:
        return {**box, "image_id": places[box["image_id"]], "category_id": classes[box["category_id"]]}

    truth = COCO(
        {
            "images": [{"id": place} for place in places.values()],  # sizes may be any numbers, and do not count
            "categories": [{**one, "id": classes[one["id"]]} for one in annotations["categories"]],
            "annotations": [placed(box) for box in annotations["annotations"]],
        }
    )
    found = truth.load_res([placed(entry) for entry in results])
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.params.max_dets = [max_detections]
    evaluation.evaluate()
    evaluation.accumulate()
    arrays: Any = evaluation.eval
    return {name: np.asarray(arrays[name]) for name in ("precision", "recall")}
