"""LVIS' matching of detections to ground truth in one image and category, for all thresholds and areas at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odinw_bench.metrics.overlap import box_iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps (IoU) at which a detection counts as right."""

AREAS: tuple[tuple[str, float, float], ...] = (
    ("", 0.0, 1e10),
    ("s", 0.0, 32.0**2),
    ("m", 32.0**2, 96.0**2),
    ("l", 96.0**2, 1e10),
)
"""Ending of the metric's name, least and largest area in pixels, both included."""

_ALMOST_ONE = 1 - 1e-10
_LOWEST, _HIGHEST = np.array([low for _, low, _ in AREAS]), np.array([high for _, _, high in AREAS])


@dataclass(frozen=True)
class Truths:
    """The ground truth of one category in one image.

    Attributes:
        boxes: ``[G, 4]``, x, y, width, height.
        areas: ``[G]``, as the file states them (of the masks).
        ignored: bool ``[G]``, marked in the file as counting neither way.
        ids: ``[G]``, annotation ids; id 0 is never matched, as in the official evaluator.
    """

    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    ignored: NDArray[np.bool_]
    ids: NDArray[np.int64]

    def counted(self) -> NDArray[np.int64]:
        """``[A]``: how many count in each range of :data:`AREAS`."""
        return (~_aside(self.areas, self.ignored)).sum(axis=1)


@dataclass(frozen=True)
class Matches:
    """What became of the detections of one category in one image, best score first.

    Attributes:
        scores: ``[D]``.
        hits: bool ``[A, T, D]``, matched to a truth.
        ignored: bool ``[A, T, D]``, counting neither way.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def match_image(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], truths: Truths, *, exhaustive: bool
) -> Matches:
    """Match the detections of one category in one image.

    Detections choose in the order of their scores, each the free truth of largest IoU at or above the threshold (of
    equal ones the last); truths that count come before those that do not (Gupta et al. 2019; COCO's rule).

    Args:
        boxes: ``[D, 4]``, x, y, width, height.
        scores: ``[D]``; equal ones keep their order.
        truths: of the same category and image; may be empty.
        exhaustive: whether every instance of the category is annotated in this image; if not, detections that match
            nothing count neither way.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    aside = _aside(truths.areas, truths.ignored)  # (A, G)
    shape = (len(AREAS), len(THRESHOLDS), len(boxes))
    hits, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    if len(truths.ids):
        overlaps = box_iou(boxes, truths.boxes)  # (D, G)
        least = np.minimum(THRESHOLDS, _ALMOST_ONE)
        for area in range(len(AREAS)):
            # Truths that count first; within each kind the order of the file.
            places = np.argsort(aside[area], kind="stable")
            _match_area(
                overlaps[:, places], aside[area][places], truths.ids[places] != 0, least, hits[area], ignored[area]
            )
    areas = boxes[:, 2] * boxes[:, 3]
    outside = (areas < _LOWEST[:, None]) | (areas > _HIGHEST[:, None])  # (A, D)
    unjudged = outside | (not exhaustive)
    ignored |= ~hits & unjudged[:, None, :]
    return Matches(scores, hits, ignored)


def _match_area(
    overlaps: NDArray[np.float64],
    aside: NDArray[np.bool_],
    real: NDArray[np.bool_],
    least: NDArray[np.float64],
    hits: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
) -> None:
    """Fill ``hits`` and ``ignored`` ``[T, D]`` of one area range; ``overlaps`` ``[D, G]`` with counted truths first."""
    counted = int((~aside).sum())
    free = np.ones((len(least), overlaps.shape[1]), bool)  # (T, G)
    rows = np.arange(len(least))
    for column in np.flatnonzero(overlaps.max(axis=1) >= least[0]):
        reached = np.where(free & (overlaps[column] >= least[:, None]), overlaps[column], -1.0)  # (T, G)
        best = _last_best(reached[:, :counted], reached[:, counted:])
        found = best >= 0
        if not found.any():
            continue
        taken = best[found]
        free[rows[found], taken] = False
        hits[found, column] = real[taken]
        ignored[found, column] = aside[taken]


def _last_best(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.int64]:
    """``[T]``: place of the largest value of each row, in the first table if it has any of at least 0; -1: nowhere."""
    best = np.full(len(first), -1)
    for table, start in ((second, first.shape[1]), (first, 0)):
        if table.shape[1]:
            last = table.shape[1] - 1 - np.argmax(table[:, ::-1], axis=1)
            good = table[np.arange(len(table)), last] >= 0
            best = np.where(good, last + start, best)
    return best


def _aside(areas: NDArray[np.float64], ignored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[A, G]``: which truths do not count in each area range."""
    return ignored | (areas < _LOWEST[:, None]) | (areas > _HIGHEST[:, None])


def no_truths() -> Truths:
    """No ground truth."""
    return Truths(np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int64))


def truths_of(annotations: Sequence[dict]) -> Truths:
    """The ground truth out of a file's annotations of one image and category, in their order."""
    return Truths(
        boxes=np.array([entry["bbox"] for entry in annotations], dtype=np.float64).reshape(-1, 4),
        areas=np.array([entry["area"] for entry in annotations], dtype=np.float64),
        ignored=np.array([bool(entry.get("ignore", 0)) for entry in annotations], dtype=bool),
        ids=np.array([entry["id"] for entry in annotations], dtype=np.int64),
    )
