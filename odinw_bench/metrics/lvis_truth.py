"""LVIS annotations and detections in the form that the metrics work on: indexed, and as columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import is_number
from odinw_bench.metrics.lvis_matching import Truths, truths_of
from odinw_bench.utils.text import shorten

FREQUENCIES = ("r", "c", "f")
"""Rare, common, frequent: a category's ``frequency``."""

_LEAST_TOO_LARGE = 1 << 63
"""Of ids: they are columns of 64 bits."""

_FIELDS = ("image_id", "category_id", "bbox", "score")


class LvisTruth:
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
                if not isinstance(ids, Sequence) or not all(isinstance(one, int) for one in ids):
                    raise InputError(f"images[{number}].{key} must be a list of category ids, not {shorten(ids)}")
                pairs.update((category, image["id"]) for category in ids)


class LvisTable:
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

    def at(self, rows: NDArray[np.int64]) -> LvisTable:
        """Some of the rows, in the order given."""
        return LvisTable(self.images[rows], self.categories[rows], self.boxes[rows], self.scores[rows])


def detection_table(predictions: Sequence[Mapping[str, Any]], truth: LvisTruth) -> LvisTable:
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
    return LvisTable(ids[:, 0], ids[:, 1], columns[:, 2:6], columns[:, 6])


def best_of(groups: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], limit: int) -> NDArray[np.int64]:
    """Rows of the best ``limit`` of each group, in their old order.

    Args:
        groups: ``[N]``, numbers of the groups.
        scores: ``[N]``; of equal ones the first counts as the better.
        limit: rows of a group.
    """
    order = np.lexsort((np.arange(len(scores)), -scores, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(ordered)])
    place = np.arange(len(ordered)) - np.repeat(starts, sizes)
    return np.sort(order[place < limit])


def _entries(content: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    entries = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f"LVIS annotations need a list '{key}' of objects")
    return entries


def _whole(entry: Mapping[str, Any], key: str, number: int, field: str) -> int:
    value = entry.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _LEAST_TOO_LARGE:
        raise InputError(f"{key}[{number}].{field} must be a whole number of 64 bits, not {shorten(value)}")
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
