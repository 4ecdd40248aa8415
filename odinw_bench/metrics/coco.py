"""COCO metrics by the reference evaluator, in percent."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, ImageId, check_annotations, is_number
from odinw_bench.metrics import fast
from odinw_bench.utils.text import shorten

Predictions = Sequence[Mapping[str, Any]]
"""COCO results: dicts of ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``."""

MAX_DETECTIONS = 100
"""Detections of an image and class that count in COCO's own metrics."""

_AREAS = {"AP": 0, "APs": 1, "APm": 2, "APl": 3}
_THRESHOLDS = {"AP50": 0, "AP75": 5}
_KEYS = frozenset({"image_id", "category_id", "bbox", "score"})


def evaluate(
    annotations: Mapping[str, Any],
    predictions: Predictions,
    *,
    official_ids: bool = True,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, Any]:
    """COCO metrics of detections.

    Args:
        annotations: COCO annotations; annotation ids are renumbered, missing areas filled in.
        predictions: COCO results. Neither argument is changed.
        official_ids: where the file's annotation ids change what the reference evaluator gives, give that too; it
            takes as long as the rest.
        max_detections: how many of an image and class count, best first; COCO's own number is 100.

    Returns:
        ``AP`` (mean over IoU 0.50 to 0.95), ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` (by the area of the
        ground truth: below 32², up to 96², above), ``AR100`` (named by ``max_detections``), and
        ``per_class``: AP by category id (as text, ascending ids), since two categories may share a name. In percent,
        0 to 100; None where there is no ground truth to find. Without any prediction they are 0. For annotations with
        an id 0, which the reference evaluator never counts as found, or with an id twice, also ``AP_official_ids``:
        AP on the ids as they are, which is what the official evaluation gives.

    Raises:
        InputError: the annotations are not COCO, or a prediction lacks a field, is not finite, or is of an image
            or category that the annotations do not have.
    """
    data, results = check_pair(annotations, predictions)
    accumulated = _accumulated(data, results, max_detections)
    metrics = _summary(accumulated, max_detections)
    precision = accumulated["precision"][:, :, :, 0, -1]  # (IoU, recall, class), all areas, all that count
    metrics["per_class"] = {
        str(category["id"]): _percent(precision[:, :, k].mean()) for k, category in enumerate(data["categories"])
    }
    if official_ids and any("official_id" in box for box in data["annotations"]):
        as_they_are = [{**box, "id": box["official_id"]} for box in data["annotations"]]
        again = _accumulated({**data, "annotations": as_they_are}, results, max_detections)
        metrics["AP_official_ids"] = _summary(again, max_detections)["AP"]
    return metrics


def _accumulated(data: Annotations, results: list[dict[str, Any]], max_detections: int) -> Any:
    """The evaluator's arrays of precision and recall; a faster one has no such rule for ids of 0 or ids twice."""
    usual = all("id" in box and box["id"] == number for number, box in enumerate(data["annotations"], start=1))
    if usual and results and max_detections >= fast.LEAST_MAX_DETECTIONS and fast.evaluator() != fast.REFERENCE:
        return fast.accumulated(data, results, max_detections)
    evaluator = match(data, results, max_detections)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()
    return evaluator.eval


def _summary(accumulated: Mapping[str, Any], max_detections: int) -> dict[str, Any]:
    """What pycocotools' ``summarize`` gives; that looks for 100 detections an image alone, whatever was evaluated."""
    precision, recall = accumulated["precision"][..., -1], accumulated["recall"][..., -1]
    parts = {name: precision[:, :, :, area] for name, area in _AREAS.items()}
    parts |= {name: precision[[at], :, :, 0] for name, at in _THRESHOLDS.items()}
    found = {name: _mean(parts[name]) for name in ("AP", *_THRESHOLDS, "APs", "APm", "APl")}
    return found | {f"AR{max_detections}": _mean(recall[:, :, 0])}


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of what was measured, in percent; the evaluator writes -1 for a class without ground truth."""
    known = values[values > -1]
    return _percent(np.mean(known)) if known.size else None


def check_pair(annotations: Mapping[str, Any], predictions: Predictions) -> tuple[Annotations, list[dict[str, Any]]]:
    """Check annotations and predictions against each other.

    Returns:
        the annotations in the form of :func:`odinw_bench.datasets.annotations.check_annotations`, and the
        predictions as the evaluator's annotations (with ``id`` from 1, ``area``, ``iscrowd``), in the order given.

    Raises:
        InputError: see :func:`evaluate`.
    """
    if not isinstance(predictions, Sequence) or isinstance(predictions, str | bytes):
        raise InputError(f"predictions must be a list of COCO results, not {shorten(predictions)}")
    background = any(isinstance(entry, Mapping) and entry.get("category_id") == 0 for entry in predictions)
    data = check_annotations(annotations, keep_background=background)
    images = {image["id"] for image in data["images"]}
    categories = {category["id"] for category in data["categories"]}
    return data, [_result(entry, number, images, categories) for number, entry in enumerate(predictions, start=1)]


def match(annotations: Annotations, results: list[dict[str, Any]], max_detections: int = MAX_DETECTIONS) -> Any:
    """Match detections to ground truth, image by image.

    Args:
        annotations: as :func:`check_pair` gives them.
        results: as :func:`check_pair` gives them.
        max_detections: see :func:`evaluate`.

    Returns:
        pycocotools' ``COCOeval`` after ``evaluate()``, ready to accumulate.
    """
    from pycocotools.coco import COCO

    from odinw_bench.metrics.crowded import CrowdedCOCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress on standard output
        truth, found = COCO(), COCO()
        # The index is built here and not by loadRes, which fails on an empty list and changes its argument.
        truth.dataset = annotations
        found.dataset = {**annotations, "annotations": results}
        truth.createIndex()
        found.createIndex()
        evaluator = CrowdedCOCOeval(truth, found, "bbox")
        evaluator.params.maxDets = [1, 10, max_detections]
        evaluator.evaluate()
    return evaluator


def _result(entry: Any, number: int, images: Iterable[ImageId], categories: Iterable[int]) -> dict[str, Any]:
    where = f"predictions[{number - 1}]"
    if not isinstance(entry, Mapping) or not entry.keys() >= _KEYS:
        raise InputError(f"{where} must be an object with {', '.join(sorted(_KEYS))}, not {shorten(entry)}")
    box, score, image_id, category_id = entry["bbox"], entry["score"], entry["image_id"], entry["category_id"]
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
        raise InputError(f"{where}.bbox must be four finite numbers (x, y, width, height), not {shorten(box)}")
    if box[2] < 0 or box[3] < 0:
        raise InputError(f"{where}.bbox has a negative width or height: {shorten(box)}")
    if not is_number(score):
        raise InputError(f"{where}.score must be a finite number, not {shorten(score)}")
    if isinstance(image_id, bool) or not isinstance(image_id, int | str) or image_id not in images:
        raise InputError(f"{where}.image_id {shorten(image_id)} is not an image of the annotations")
    if isinstance(category_id, bool) or not isinstance(category_id, int) or category_id not in categories:
        raise InputError(
            f"{where}.category_id {shorten(category_id)} is not a category of the annotations; they have "
            f"{shorten(sorted(categories))}"
        )
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [float(value) for value in box],
        "score": float(score),
        "area": float(box[2]) * float(box[3]),
        "iscrowd": 0,
    }


def _percent(fraction: float | np.floating[Any]) -> float | None:
    """The evaluator's fraction in percent; its -1 (no ground truth) as None.

    Rounded to 10 decimals: the evaluator adds a rounding error to precision so as not to divide by zero, and a
    perfect detector would miss 100 by 1e-14.
    """
    return None if fraction < 0 else round(100 * float(fraction), 10)
