"""LVIS metrics: federated annotations, frequency groups, plain AP and fixed AP, in percent.

Plain AP follows Gupta et al., "LVIS" (CVPR 2019) and equals the package ``lvis``; fixed AP follows Dave et al.,
"Evaluating Large-Vocabulary Object Detectors" (arXiv 2102.01066), which the GLIP paper reports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import is_number
from odinw_bench.metrics.lvis_matching import (
    AREAS,
    THRESHOLDS,
    Matches,
    Truths,
    match_image,
    no_truths,
    truths_of,
)
from odinw_bench.utils.text import shorten

FREQUENCIES = ("r", "c", "f")
"""Rare, common, frequent: a category's ``frequency``."""

_RECALLS = np.linspace(0.0, 1.0, 101)
_FIELDS = ("image_id", "category_id", "bbox", "score")


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
    truth = _Truth(annotations)
    table = _table(predictions, truth)
    if fixed:
        kept = _best_per_class(table, top_per_class)
    else:
        kept = table if max_dets == -1 else _best_per_image(table, max_dets)
    curves = _curves(truth, kept)
    return _summary(truth, curves, limit=-1 if fixed else max_dets)


class _Truth:
    """An LVIS file, checked and indexed."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        images, categories, boxes = (_entries(content, key) for key in ("images", "categories", "annotations"))
        self.images = sorted({_whole(image, "images", number, "id") for number, image in enumerate(images)})
        self.frequency: dict[int, str | None] = {}
        for number, category in enumerate(categories):
            frequency = category.get("frequency")
            if frequency is not None and frequency not in FREQUENCIES:
                raise InputError(f"categories[{number}].frequency must be r, c or f, not {shorten(frequency)}")
            self.frequency[_whole(category, "categories", number, "id")] = frequency
        self.categories = sorted(self.frequency)
        known = set(self.images)
        grouped: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for number, box in enumerate(boxes):
            entry = _annotation(box, number)
            if entry["image_id"] not in known:
                raise InputError(f"annotations[{number}].image_id {entry['image_id']} is not an image of the file")
            if entry["category_id"] not in self.frequency:
                raise InputError(f"annotations[{number}].category_id {entry['category_id']} is not a category")
            grouped[entry["category_id"], entry["image_id"]].append(entry)
        self.truths: dict[tuple[int, int], Truths] = {pair: truths_of(entries) for pair, entries in grouped.items()}
        self.judged = set(self.truths)
        self.open: set[tuple[int, int]] = set()
        for number, image in enumerate(images):
            for key, pairs in (("neg_category_ids", self.judged), ("not_exhaustive_category_ids", self.open)):
                ids = image.get(key) or []
                if not isinstance(ids, Sequence) or isinstance(ids, str):
                    raise InputError(f"images[{number}].{key} must be a list of category ids, not {shorten(ids)}")
                pairs.update((category, image["id"]) for category in ids)


class _Table:
    """Detections as columns.

    Attributes:
        images, categories: ``[N]`` ids.
        boxes: ``[N, 4]``, x, y, width, height.
        scores: ``[N]``.
    """

    def __init__(
        self,
        images: NDArray[np.int64],
        categories: NDArray[np.int64],
        boxes: NDArray[np.float64],
        scores: NDArray[np.float64],
    ) -> None:
        self.images, self.categories, self.boxes, self.scores = images, categories, boxes, scores

    def at(self, rows: NDArray[np.int64]) -> _Table:
        """Some of the rows, in the order given."""
        return _Table(self.images[rows], self.categories[rows], self.boxes[rows], self.scores[rows])


def _table(predictions: Sequence[Mapping[str, Any]], truth: _Truth) -> _Table:
    """The predictions of known images and categories, in their order."""
    if not isinstance(predictions, Sequence) or isinstance(predictions, str | bytes):
        raise InputError(f"predictions must be a list of COCO results, not {shorten(predictions)}")
    images, rows = set(truth.images), []
    for number, entry in enumerate(predictions):
        where = f"predictions[{number}]"
        if not isinstance(entry, Mapping) or any(field not in entry for field in _FIELDS):
            raise InputError(f"{where} must be an object with {', '.join(_FIELDS)}, not {shorten(entry)}")
        box, score = entry["bbox"], entry["score"]
        if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
            raise InputError(f"{where}.bbox must be four finite numbers (x, y, width, height), not {shorten(box)}")
        if not is_number(score):
            raise InputError(f"{where}.score must be a finite number, not {shorten(score)}")
        image, category = entry["image_id"], entry["category_id"]
        if not isinstance(image, int) or not isinstance(category, int):
            raise InputError(f"{where}: image_id and category_id must be whole numbers, as in LVIS files")
        if image in images and category in truth.frequency:
            rows.append((image, category, *box, score))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7)
    ids = np.array([row[:2] for row in rows], dtype=np.int64).reshape(-1, 2)
    return _Table(ids[:, 0], ids[:, 1], columns[:, 2:6], columns[:, 6])


def _best_per_image(table: _Table, limit: int) -> _Table:
    """The best of each image over all categories; equal scores: the first given."""
    return table.at(_best_of(table.images, table.scores, limit))


def _best_per_class(table: _Table, limit: int) -> _Table:
    """The best of each category over all images; equal scores: the first given."""
    return table.at(_best_of(table.categories, table.scores, limit))


def _best_of(groups: NDArray[np.int64], scores: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Rows of the best ``limit`` of each group, in their old order."""
    order = np.lexsort((np.arange(len(scores)), -scores, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(ordered)])
    place = np.arange(len(ordered)) - np.repeat(starts, sizes)
    return np.sort(order[place < limit])


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


def _curves(truth: _Truth, table: _Table) -> _Curves:
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


def _summary(truth: _Truth, curves: _Curves, *, limit: int) -> dict[str, Any]:
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


def _entries(content: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    entries = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f"LVIS annotations need a list '{key}' of objects")
    return entries


def _whole(entry: Mapping[str, Any], key: str, number: int, field: str) -> int:
    value = entry.get(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key}[{number}].{field} must be a whole number, not {shorten(value)}")
    return value


def _annotation(box: Mapping[str, Any], number: int) -> dict[str, Any]:
    where = f"annotations[{number}]"
    corners: Iterable[Any] = box.get("bbox") or ()
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not all(map(is_number, corners)):
        raise InputError(f"{where}.bbox must be four finite numbers (x, y, width, height), not {shorten(corners)}")
    area = box.get("area", corners[2] * corners[3])
    if not is_number(area):
        raise InputError(f"{where}.area must be a finite number, not {shorten(area)}")
    ids = {field: _whole(box, "annotations", number, field) for field in ("id", "image_id", "category_id")}
    return {**ids, "bbox": corners, "area": area, "ignore": box.get("ignore", 0)}
