"""COCO's matching for images with very many boxes, where the reference evaluator takes minutes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

MANY = 500
"""Boxes of one class in one image from which on all boxes are compared at once rather than one by one."""

_ALMOST_ONE = 1 - 1e-10


class CrowdedCOCOeval(COCOeval):
    """pycocotools' evaluator; images with more than :data:`MANY` boxes of a class give the same in less time.

    The rule is COCO's: detections choose in the order of their scores, each the free box of largest overlap at or
    above the threshold (of equal ones the last), and a box that does not count only where no other is left.
    """

    def evaluateImg(self, imgId: Any, catId: Any, aRng: Any, maxDet: int) -> Any:
        """See pycocotools."""
        truth, found = self._gts[imgId, catId], self._dts[imgId, catId]
        if len(truth) <= MANY or not self.params.useCats:
            return super().evaluateImg(imgId, catId, aRng, maxDet)
        aside = np.array([bool(one["ignore"]) or not aRng[0] <= one["area"] <= aRng[1] for one in truth])
        order = np.argsort(aside, kind="stable")
        truth, aside = [truth[place] for place in order], aside[order]
        by_score = np.argsort([-one["score"] for one in found], kind="mergesort")[:maxDet]
        found = [found[place] for place in by_score]
        thresholds = self.params.iouThrs
        matched_to = np.zeros((len(thresholds), len(found)))
        matched_by = np.zeros((len(thresholds), len(truth)))
        found_aside = np.zeros((len(thresholds), len(found)))
        if found:
            overlaps = self.ious[imgId, catId][:, order]
            crowd = np.array([bool(one["iscrowd"]) for one in truth])
            counting = int((~aside).sum())
            for row, threshold in enumerate(thresholds):
                least = min(threshold, _ALMOST_ONE)
                for column, detection in enumerate(found):
                    free = (matched_by[row] == 0) | crowd
                    overlap = np.where(free, overlaps[column], -1.0)
                    best = _last_best(overlap[:counting], least)
                    if best is None:
                        later = _last_best(overlap[counting:], least)
                        best = None if later is None else counting + later
                    if best is not None:
                        found_aside[row, column] = aside[best]
                        matched_to[row, column] = truth[best]["id"]
                        matched_by[row, best] = detection["id"]
        outside = np.array([not aRng[0] <= one["area"] <= aRng[1] for one in found], dtype=bool).reshape(1, -1)
        found_aside = np.logical_or(found_aside, (matched_to == 0) & outside)
        return {
            "image_id": imgId,
            "category_id": catId,
            "aRng": aRng,
            "maxDet": maxDet,
            "dtIds": [one["id"] for one in found],
            "gtIds": [one["id"] for one in truth],
            "dtMatches": matched_to,
            "gtMatches": matched_by,
            "dtScores": [one["score"] for one in found],
            "gtIgnore": aside.astype(int),
            "dtIgnore": found_aside,
        }


def _last_best(overlaps: NDArray[np.float64], least: float) -> int | None:
    """Where the largest value is, the last of equal ones; None where none is at least ``least``."""
    if not len(overlaps):
        return None
    place = len(overlaps) - 1 - int(np.argmax(overlaps[::-1]))
    return place if overlaps[place] >= least else None
