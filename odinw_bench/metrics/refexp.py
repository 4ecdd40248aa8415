"""Referring expressions (RefCOCO, RefCOCO+, RefCOCOg): precision at k of the boxes ranked for an expression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import is_number
from odinw_bench.metrics.overlap import corner_iou
from odinw_bench.utils.text import shorten

RANKS: Mapping[str, int] = {"P@1": 1, "P@5": 5, "P@10": 10}
"""How many of an expression's first boxes may be the one meant."""

_OVERLAP = 0.5


def evaluate_refexp(
    annotations: Mapping[str, Any],
    predictions: Mapping[Any, Mapping[str, Any]],
    *,
    generalised: bool = False,
) -> dict[str, dict[str, Any]]:
    """Precision at 1, 5 and 10 by data set.

    An expression is found at k if one of its k best boxes overlaps the box meant by at least half.

    Args:
        annotations: MDETR's form: ``images`` (one entry an expression, with ``id`` and ``dataset_name``) and
            ``annotations`` (one an expression: ``image_id`` and ``bbox`` as x, y, width, height).
        predictions: by the entry's id: ``scores`` ``[N]`` and ``boxes`` ``[N, 4]`` (x1, y1, x2, y2); equal scores are
            ordered by falling coordinates.
        generalised: overlap is the generalised IoU (Rezatofighi et al., CVPR 2019), as in the evaluator that GLIP's
            code carries; False: the plain IoU of the literature.

    Returns:
        by data set ``P@1``, ``P@5``, ``P@10`` in percent, 0 to 100, and ``expressions``, how many.

    Raises:
        InputError: an expression without prediction or box, or values that are no boxes.
    """
    truth: dict[Any, NDArray[np.float64]] = {}
    for number, entry in enumerate(annotations.get("annotations") or ()):
        box = _boxes([entry.get("bbox")], f"annotations[{number}].bbox")[0]
        truth.setdefault(entry.get("image_id"), np.array([*box[:2], *(box[:2] + box[2:])]))
    totals: Counter[str] = Counter()
    hits: dict[str, Counter[str]] = {name: Counter() for name in RANKS}
    for number, image in enumerate(annotations.get("images") or ()):
        identity, dataset = image.get("id"), str(image.get("dataset_name"))
        if identity not in truth:
            raise InputError(f"images[{number}]: expression {shorten(identity)} has no annotation")
        overlaps = _overlaps(_ranked(predictions, identity), truth[identity], generalised=generalised)
        totals[dataset] += 1
        for name, rank in RANKS.items():
            hits[name][dataset] += bool(overlaps[:rank].max() >= _OVERLAP)
    return {
        dataset: {name: round(100 * counts[dataset] / total, 10) for name, counts in hits.items()}
        | {"expressions": total}
        for dataset, total in sorted(totals.items())
    }


def _ranked(predictions: Mapping[Any, Mapping[str, Any]], identity: Any) -> NDArray[np.float64]:
    """``[N, 4]``, best first."""
    found = predictions.get(identity)
    if found is None:
        raise InputError(f"no prediction for expression {shorten(identity)}")
    where = f"the prediction for expression {shorten(identity)}"
    if not isinstance(found, Mapping):
        raise InputError(f"{where} must be an object with scores and boxes, not {shorten(found)}")
    scores, boxes = found.get("scores"), found.get("boxes")
    if not isinstance(scores, Sequence) or not isinstance(boxes, Sequence) or len(scores) != len(boxes):
        raise InputError(f"{where} needs as many 'scores' as 'boxes'")
    if not len(scores):
        raise InputError(f"{where} holds no box")
    if not all(map(is_number, scores)):
        raise InputError(f"{where} has a score that is no finite number")
    table = _boxes(boxes, where)
    order = sorted(range(len(table)), key=lambda row: (scores[row], *table[row]), reverse=True)
    return table[order]


def _boxes(boxes: Sequence[Any], where: str) -> NDArray[np.float64]:
    for box in boxes:
        if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
            raise InputError(f"{where} holds {shorten(box)}, which is no box of four finite numbers")
    return np.array(boxes, dtype=np.float64)


def _overlaps(boxes: NDArray[np.float64], truth: NDArray[np.float64], *, generalised: bool) -> NDArray[np.float64]:
    """``[N]``: plain or generalised IoU with the one true box."""
    overlaps = corner_iou(boxes, truth[None])[:, 0]
    if not generalised:
        return overlaps
    low, high = np.minimum(boxes[:, :2], truth[:2]), np.maximum(boxes[:, 2:], truth[2:])
    hull = (high - low).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (truth[2:] - truth[:2]).prod()
    union = areas / (1 + overlaps)  # IoU = shared / (areas - shared)
    return overlaps - np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)
