"""Intersection over union with plain areas (no pixel added), as the evaluators of LVIS and Flickr30k compute it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]


def corner_iou(first: Boxes, second: Boxes) -> Boxes:
    """Of boxes (x1, y1, x2, y2): ``[N, 4]``, ``[M, 4]`` -> ``[N, M]``."""
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    return _iou(first, second, areas[0], areas[1])


def box_iou(first: Boxes, second: Boxes) -> Boxes:
    """Of boxes (x, y, width, height): ``[N, 4]``, ``[M, 4]`` -> ``[N, M]``."""
    corners = [np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) for boxes in (first, second)]
    # The areas of the sides as they are given: from the corners they would differ in the last bit.
    return _iou(corners[0], corners[1], first[:, 2] * first[:, 3], second[:, 2] * second[:, 3])


def _iou(first: Boxes, second: Boxes, first_areas: Boxes, second_areas: Boxes) -> Boxes:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0.0, None)
    shared = sides[..., 0] * sides[..., 1]
    union = first_areas[:, None] + second_areas[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
