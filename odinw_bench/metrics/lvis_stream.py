"""What counts of the detections of a large data set, kept while they come in: a bounded amount, whatever its size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odinw_bench.metrics.lvis_truth import LvisTable, LvisTruth, best_of

TOP_PER_CLASS = 10_000
"""Detections of a category that fixed AP counts, over the whole data set."""

PER_IMAGE = 300
"""Detections of an image that plain AP counts, over all categories."""

FIXED, PLAIN = 1, 2
"""What a detection counts for; both: the sum."""

COUNTS: Mapping[str, int] = {"fixed": FIXED, "plain": PLAIN, "both": FIXED + PLAIN}
"""As ``predictions.json`` says it."""

_PENDING = 2_000_000


@dataclass
class _Rows:
    """Detections as columns: image (its position), place in that image, label, box (x, y, width, height), score."""

    image: NDArray[np.int32]
    place: NDArray[np.int32]
    label: NDArray[np.int32]
    box: NDArray[np.float32]
    score: NDArray[np.float32]
    judged: NDArray[np.bool_]

    @classmethod
    def none(cls) -> _Rows:
        """No detections."""
        whole, real = np.zeros(0, np.int32), np.zeros(0, np.float32)
        return cls(whole, whole, whole, np.zeros((0, 4), np.float32), real, np.zeros(0, bool))

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        """Some one after the other."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    def at(self, rows: NDArray[Any]) -> _Rows:
        """Some of the rows, by number or by a mask."""
        return _Rows(*(getattr(self, one.name)[rows] for one in fields(self)))

    def __len__(self) -> int:
        return len(self.score)


class LvisStream:
    """The best :data:`TOP_PER_CLASS` of each category over all images, and the best :data:`PER_IMAGE` of each image.

    Of equal scores the first that came counts as the better, in the order of the images; so several processes that
    share the images keep what one would have kept.

    Args:
        image_ids: in the order of the data set.
        category_ids: of each label.
        truth: says which categories are judged in which image; of others nothing counts, but they take places.
        top_per_class: in place of :data:`TOP_PER_CLASS`.
        per_image: in place of :data:`PER_IMAGE`.
    """

    def __init__(
        self,
        image_ids: Sequence[Any],
        category_ids: Sequence[int],
        truth: LvisTruth,
        *,
        top_per_class: int = TOP_PER_CLASS,
        per_image: int = PER_IMAGE,
    ) -> None:
        self.image_ids, self.category_ids, self.truth = list(image_ids), list(category_ids), truth
        self.top_per_class, self.per_image = top_per_class, per_image
        self._position = {image_id: position for position, image_id in enumerate(self.image_ids)}
        self._label = {category: label for label, category in enumerate(self.category_ids)}
        self._judged: dict[Any, list[int]] = {}
        for category, image in truth.judged:
            if category in self._label:
                self._judged.setdefault(image, []).append(self._label[category])
        self._floor = np.full(len(self.category_ids), -np.inf, np.float32)
        self._kept, self._pending, self._waiting = _Rows.none(), list[_Rows](), 0
        self._plain: list[_Rows] = []

    def add(
        self,
        image_id: Any,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        labels: NDArray[np.integer[Any]],
    ) -> None:
        """All detections of an image, each image once.

        Args:
            image_id: one of the data set's.
            boxes: ``[N, 4]``, x, y, width, height in its pixels.
            scores: ``[N]``.
            labels: ``[N]``, positions in ``category_ids``.
        """
        count = len(scores)
        known = np.zeros(len(self.category_ids), bool)
        known[self._judged.get(image_id, [])] = True
        rows = _Rows(
            image=np.full(count, self._position[image_id], np.int32),
            place=np.arange(count, dtype=np.int32),
            label=labels.astype(np.int32),
            box=boxes.astype(np.float32).reshape(-1, 4),
            score=scores.astype(np.float32),
            judged=known[labels],
        )
        best = np.argsort(-rows.score, kind="stable")[: self.per_image]
        self._plain.append(rows.at(np.sort(best[rows.judged[best]])))
        rows = rows.at(rows.score > self._floor[rows.label])  # an equal one that comes later has no place either
        self._pending.append(rows)
        self._waiting += len(rows)
        if self._waiting >= _PENDING:
            self._settle()

    def _settle(self) -> None:
        """Cut what has come in to the best of each category."""
        rows = _Rows.joined([self._kept, *self._pending])
        self._pending, self._waiting = [], 0
        self._kept = rows.at(best_of(rows.label, rows.score, self.top_per_class))
        full = np.bincount(self._kept.label, minlength=len(self._floor)) >= self.top_per_class
        lowest = np.full(len(self._floor), np.inf, np.float32)
        np.minimum.at(lowest, self._kept.label, self._kept.score)
        self._floor = np.where(full, lowest, -np.inf).astype(np.float32)

    def state(self) -> tuple[_Rows, _Rows]:
        """What was kept so far, for :meth:`result` in another process."""
        self._settle()
        self._plain = [_Rows.joined([_Rows.none(), *self._plain])]
        return self._kept, self._plain[0]

    def kept(self) -> list[dict[str, Any]]:
        """:meth:`state` as tensors, for a file."""
        import torch

        return [{one.name: torch.from_numpy(getattr(rows, one.name)) for one in fields(rows)} for rows in self.state()]

    def restore(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Go on from what another stream kept, before any detections are added.

        Args:
            kept: by :meth:`kept`.
        """
        self._kept, plain = (_Rows(**{name: value.numpy() for name, value in rows.items()}) for rows in kept)
        self._plain = [plain]
        self._settle()

    def result(self, states: Sequence[tuple[_Rows, _Rows]]) -> LvisPredictions:
        """What counts of the detections of all processes.

        Args:
            states: of each process's stream, this one's among them.
        """
        fixed, plain = (_in_order(_Rows.joined([state[kind] for state in states])) for kind in (0, 1))
        fixed = fixed.at(best_of(fixed.label, fixed.score, self.top_per_class))
        fixed = fixed.at(fixed.judged)
        both = _Rows.joined([fixed, plain])
        order = np.lexsort(_place(both))
        rows, counts = both.at(order), np.repeat([FIXED, PLAIN], [len(fixed), len(plain)])[order]
        first = np.ones(len(rows), bool)  # a detection that counts for both is there twice
        first[1:] = (rows.image[1:] != rows.image[:-1]) | (rows.place[1:] != rows.place[:-1])
        total = np.add.reduceat(counts, np.flatnonzero(first)) if len(rows) else counts
        return LvisPredictions(self.image_ids, self.category_ids, rows.at(first), total)


def _place(rows: _Rows) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return rows.place, rows.image


def _in_order(rows: _Rows) -> _Rows:
    """By image, then by the place in it."""
    return rows.at(np.lexsort(_place(rows)))


class LvisPredictions:
    """The detections that count, and what for.

    Args:
        image_ids: by position.
        category_ids: by label.
        rows: in the order of the images and of the detections in each.
        counts: ``[N]``, :data:`FIXED`, :data:`PLAIN` or their sum.
    """

    def __init__(
        self, image_ids: Sequence[Any], category_ids: Sequence[int], rows: _Rows, counts: NDArray[np.integer[Any]]
    ) -> None:
        self.image_ids, self.category_ids, self._rows, self._counts = image_ids, category_ids, rows, counts

    def __len__(self) -> int:
        return len(self._rows)

    def table(self, kind: int) -> LvisTable:
        """What counts for :data:`FIXED` or :data:`PLAIN` AP."""
        rows = self._rows.at((self._counts & kind) > 0)
        images, categories = np.array(self.image_ids, np.int64), np.array(self.category_ids, np.int64)
        return LvisTable(
            images[rows.image], categories[rows.label], rows.box.astype(np.float64), rows.score.astype(np.float64)
        )

    def entries(self) -> Iterator[dict[str, Any]]:
        """COCO results, with what each ``counts`` for."""
        rows, names = self._rows, {value: name for name, value in COUNTS.items()}
        for start in range(0, len(rows), 10_000):
            part = slice(start, start + 10_000)
            columns = (rows.image[part], rows.label[part], rows.box[part], rows.score[part], self._counts[part])
            for image, label, box, score, counts in zip(*(column.tolist() for column in columns), strict=True):
                yield {
                    "image_id": self.image_ids[image],
                    "category_id": self.category_ids[label],
                    "bbox": box,
                    "score": score,
                    "counts": names[counts],
                }

    def write(self, path: Path) -> None:
        """Write them as a JSON list, an entry a line."""
        with path.open("w", encoding="utf-8") as stream:
            between = "["
            for entry in self.entries():
                stream.write(between + json.dumps(entry, allow_nan=False))
                between = ",\n"
            stream.write("]\n" if between != "[" else "[]\n")
