"""LVIS metrics: federated annotations, frequency groups, plain AP and fixed AP, in percent.

Plain AP follows Gupta et al., "LVIS" (CVPR 2019) and equals the package ``lvis``; fixed AP follows Dave et al.,
"Evaluating Large-Vocabulary Object Detectors" (arXiv 2102.01066), which the GLIP paper reports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.metrics.lvis_matching import AREAS, THRESHOLDS, Matches, match_image, no_truths
from odinw_bench.metrics.lvis_truth import FREQUENCIES, LvisTable, LvisTruth, best_of, detection_table
from odinw_bench.utils.text import shorten

_RECALLS = np.linspace(0.0, 1.0, 101)


def evaluate_lvis(
    annotations: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]],
    *,
    fixed: bool = True,
    max_dets: int = 300,
    top_per_class: int = 10_000,
) -> dict[str, Any]:
    """LVIS metrics of detections.

    A detection counts only where its category is annotated in its image or is among the image's
    ``neg_category_ids``; where it is among ``not_exhaustive_category_ids``, detections that match nothing are
    ignored. Detections of images or categories that the annotations do not have are dropped, as the official
    evaluator does.

    Args:
        annotations: an LVIS file's content: ``images`` (with ``neg_category_ids`` and
            ``not_exhaustive_category_ids``, both may be absent), ``annotations`` (``area`` is the mask's; absent: the
            box's) and ``categories`` (with ``frequency``).
        predictions: COCO results in the order of detection; ``bbox`` is x, y, width, height with width = x2 - x1.
        fixed: fixed AP: no limit per image, the best ``top_per_class`` of each category over the whole data set
            (ties: first come). False: plain AP, the best ``max_dets`` of each image over all categories.
        max_dets: detections per image; counts only with ``fixed=False``; -1: no limit.
        top_per_class: detections per category; counts only with ``fixed=True``.

    Returns:
        ``AP`` (mean over IoU 0.50 to 0.95 of the categories that have a truth), ``AP50``, ``AP75``, ``APs``, ``APm``,
        ``APl``, ``APr``, ``APc``, ``APf``; ``AR@K``, ``ARs@K``, ``ARm@K``, ``ARl@K`` with K the limit per image (-1
        with ``fixed=True``); and ``per_category``: by category id ``AP``, ``AP50`` and ``AR``. In percent, 0 to 100;
        None where nothing can be averaged.

    Raises:
        InputError: the annotations are not LVIS, a prediction lacks a field or is not finite, or a limit makes no
            sense.
    """
    if not isinstance(top_per_class, int) or top_per_class < 1:
        raise InputError(f"top_per_class must be a whole number of at least 1, not {shorten(top_per_class)}")
    if not isinstance(max_dets, int) or max_dets == 0 or max_dets < -1:
        raise InputError(f"max_dets must be a whole number of at least 1, or -1 for no limit, not {shorten(max_dets)}")
    truth = LvisTruth(annotations)
    table = detection_table(predictions, truth)
    if fixed:
        kept = _best_per_class(table, top_per_class)
    else:
        kept = table if max_dets == -1 else _best_per_image(table, max_dets)
    return measure(truth, kept, limit=-1 if fixed else max_dets)


def measure(truth: LvisTruth, kept: LvisTable, *, limit: int) -> dict[str, Any]:
    """The metrics of detections that were chosen already; see :func:`evaluate_lvis`.

    Args:
        truth: the annotations.
        kept: the detections that count.
        limit: detections per image, for the names of the recalls; -1: none.
    """
    return _summary(truth, _curves(truth, kept), limit=limit)


def _best_per_image(table: LvisTable, limit: int) -> LvisTable:
    """The best of each image over all categories; equal scores: the first given."""
    return table.at(best_of(table.images, table.scores, limit))


def _best_per_class(table: LvisTable, limit: int) -> LvisTable:
    """The best of each category over all images; equal scores: the first given."""
    return table.at(best_of(table.categories, table.scores, limit))


class _Curves:
    """Precision and recall of all categories.

    Attributes:
        precision: ``[A, T, K, 101]``, -1 where a category has no truth in an area range.
        recall: ``[A, T, K]``, likewise.
    """

    def __init__(self, categories: int) -> None:
        shape = (len(AREAS), len(THRESHOLDS), categories)
        self.precision = np.full((*shape, len(_RECALLS)), -1.0)
        self.recall = np.full(shape, -1.0)


def _curves(truth: LvisTruth, table: LvisTable) -> _Curves:
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    pairs = zip(table.categories.tolist(), table.images.tolist(), strict=True)
    for row, pair in enumerate(pairs):
        if pair in truth.judged:  # federated: of the others nobody knows
            rows[pair].append(row)
    images: dict[int, set[int]] = defaultdict(set)
    for category, image in {*rows, *truth.truths}:
        images[category].add(image)
    curves = _Curves(len(truth.categories))
    for position, category in enumerate(truth.categories):
        counted = np.zeros(len(AREAS), np.int64)
        matches: list[Matches] = []
        for image in sorted(images[category]):
            truths = truth.truths.get((category, image)) or no_truths()
            counted += truths.counted()
            if found := rows.get((category, image)):
                exhaustive = (category, image) not in truth.open
                matches.append(match_image(table.boxes[found], table.scores[found], truths, exhaustive=exhaustive))
        _accumulate(curves, position, matches, counted)
    return curves


def _accumulate(curves: _Curves, position: int, matches: Sequence[Matches], counted: NDArray[np.int64]) -> None:
    """Precision at the recall points, and recall, of one category."""
    scores = np.concatenate([one.scores for one in matches]) if matches else np.zeros(0)
    order = np.argsort(-scores, kind="stable")  # equal scores: the smaller image id, then the order given
    nothing = np.zeros((len(AREAS), len(THRESHOLDS), 0), bool)
    hits = np.concatenate([nothing, *(one.hits for one in matches)], axis=2)[..., order]
    ignored = np.concatenate([nothing, *(one.ignored for one in matches)], axis=2)[..., order]
    right = np.cumsum(hits & ~ignored, axis=2, dtype=np.float64)
    wrong = np.cumsum(~hits & ~ignored, axis=2, dtype=np.float64)
    for area, number in enumerate(counted.tolist()):
        if number == 0:
            continue
        recall = right[area] / number
        precision = right[area] / (right[area] + wrong[area] + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        curves.recall[area, :, position] = recall[:, -1] if recall.shape[1] else 0.0
        for row in range(len(THRESHOLDS)):
            places = np.searchsorted(recall[row], _RECALLS, side="left")
            curves.precision[area, row, position] = np.r_[precision[row], 0.0][places]


def _summary(truth: LvisTruth, curves: _Curves, *, limit: int) -> dict[str, Any]:
    precision, recall = curves.precision, curves.recall
    half, three_quarters = 0, 5  # places of IoU 0.50 and 0.75
    found: dict[str, Any] = {
        "AP": _mean(precision[0]),
        "AP50": _mean(precision[0, half]),
        "AP75": _mean(precision[0, three_quarters]),
    }
    found |= {f"AP{name}": _mean(precision[area]) for area, (name, _, _) in enumerate(AREAS) if name}
    for frequency in FREQUENCIES:
        of_kind = [place for place, one in enumerate(truth.categories) if truth.frequency[one] == frequency]
        found[f"AP{frequency}"] = _mean(precision[0][:, of_kind])
    found |= {f"AR{name}@{limit}": _mean(recall[area]) for area, (name, _, _) in enumerate(AREAS)}
    found["per_category"] = {
        category: {
            "AP": _mean(precision[0, :, place]),
            "AP50": _mean(precision[0, half, place]),
            "AR": _mean(recall[0, :, place]),
        }
        for place, category in enumerate(truth.categories)
    }
    return found


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean of what can be averaged, in percent; None where there is nothing.

    Rounded to 10 decimals, since the evaluators add a rounding error to precision so as not to divide by zero.
    """
    values = values[values > -1]
    return round(100 * float(values.mean()), 10) if values.size else None
