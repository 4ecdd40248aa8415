"""How good a prompt is on the labelled images; vision features are computed once for all prompts."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from glip_core import Prompt
from odinw_bench.datasets.annotations import Annotations, ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.features import FeatureCache, FrozenPart
from odinw_bench.engine.predict import autocast, detect_split
from odinw_bench.metrics.coco import Predictions, evaluate
from odinw_bench.models import AnyPrompt, TunableModel, find_mode

FIRST_SHARE = 3
"""A bad prompt is given up after one image in so many."""


@dataclass(frozen=True)
class _Part:
    """Some images of a split.

    Attributes:
        split: the images.
        numbers: by their ids, their ids among all images together.
    """

    split: Split
    numbers: dict[ImageId, int]


class Scorer:
    """Scores prompts by AP on some splits together; never on the test split, which it does not know.

    Attributes:
        annotations: of all images, numbered from 1.

    Args:
        model: one that reads prompts.
        splits: the labelled images: the k-shot training subset and the validation images.
        precision: see :func:`odinw_bench.engine.predict.autocast`.
        budget: bytes of vision features held at most.
    """

    def __init__(
        self,
        model: TunableModel,
        splits: Sequence[Split],
        *,
        precision: str = "fp32",
        budget: int = 2 << 30,
    ) -> None:
        self.model, self.precision = model, precision
        self.cache = FeatureCache(budget)
        self.mode = find_mode("prompt")
        first: list[_Part] = []
        rest: list[_Part] = []
        images: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for split in splits:
            start = len(images) + 1
            numbers = {image_id: start + place for place, image_id in enumerate(split.image_ids)}
            entries = {entry["id"]: entry for entry in split.annotations["images"]}
            images += [{**entries[image_id], "id": number} for image_id, number in numbers.items()]
            boxes += [{**box, "image_id": numbers[box["image_id"]]} for box in split.annotations["annotations"]]
            ids = split.image_ids
            first.append(_Part(split.subset(ids[::FIRST_SHARE]), numbers))
            rest.append(_Part(split.subset([i for n, i in enumerate(ids) if n % FIRST_SHARE]), numbers))
        self.annotations: Annotations = {
            "info": {},
            "images": images,
            "annotations": boxes,
            "categories": splits[0].annotations["categories"],
        }
        self._first, self._rest = first, rest
        self._first_numbers = {part.numbers[image_id] for part in first for image_id in part.split.image_ids}
        self._first_annotations = _only(self.annotations, self._first_numbers)

    def shuffled(self, seed: int) -> Scorer:
        """The same images and features with shuffled labels: there is nothing to find."""
        other = copy.copy(self)
        other.annotations = shuffled(self.annotations, seed)
        other._first_annotations = _only(other.annotations, self._first_numbers)
        return other

    def score(self, prompt: Prompt, give_up: Callable[[dict[str, Any]], bool] = lambda _: False) -> dict[str, Any]:
        """Metrics of a prompt, as :meth:`measure` gives them.

        Args:
            prompt: the classes in the task's order.
            give_up: asked with the metrics on the first images; True: these are returned, with ``partial`` set.
        """
        encoded = self._encode(prompt)
        rows = self._detect(encoded, self._first)
        metrics = _evaluate(self._first_annotations, rows)
        if give_up(metrics):
            return metrics | {"partial": True}
        return self.measure(rows + self._detect(encoded, self._rest))

    def measure(self, predictions: Predictions) -> dict[str, Any]:
        """Metrics of what :meth:`predictions` gives, as :func:`odinw_bench.metrics.coco.evaluate` gives them.

        But ``per_class`` has every class, in the task's order: None where no image shows one.
        """
        return _evaluate(self.annotations, predictions)

    def predictions(self, prompt: Prompt) -> list[dict[str, Any]]:
        """COCO results on all images, under the ids of :attr:`annotations`."""
        return self._detect(self._encode(prompt), [*self._first, *self._rest])

    def _encode(self, prompt: Prompt) -> AnyPrompt:
        """The prompt, encoded once for all images."""
        with autocast(torch.device(self.model.device), self.precision):
            return self.model.encode(prompt)

    def _detect(self, encoded: AnyPrompt, parts: Sequence[_Part]) -> list[dict[str, Any]]:
        frozen = FrozenPart(self.model, self.mode, encoded, self.cache, self.precision)
        rows: list[dict[str, Any]] = []
        for part in parts:
            found = detect_split(self.model, encoded, part.split, precision=self.precision, frozen=frozen)
            rows += [{**row, "image_id": part.numbers[row["image_id"]]} for row in found]
        return rows


def _evaluate(annotations: Annotations, predictions: Predictions) -> dict[str, Any]:
    """The evaluator takes a class with the id 0 that has neither a box nor a prediction for the background."""
    metrics = evaluate(annotations, predictions, official_ids=False)
    names = [str(category["id"]) for category in annotations["categories"]]
    return metrics | {"per_class": {name: metrics["per_class"].get(name) for name in names}}


def shuffled(annotations: Annotations, seed: int) -> Annotations:
    """The same images and boxes with labels that mean nothing.

    With several classes the labels are shuffled among the boxes; with one, the images' boxes among the images.
    """
    draw = random.Random(seed)
    boxes = [dict(box) for box in annotations["annotations"]]
    key = "category_id" if len(annotations["categories"]) > 1 else "image_id"
    if key == "category_id":
        labels = [box[key] for box in boxes]
        draw.shuffle(labels)
        for box, label in zip(boxes, labels, strict=True):
            box[key] = label
    else:
        ids = [image["id"] for image in annotations["images"]]
        dealt = dict(zip(ids, draw.sample(ids, len(ids)), strict=True))
        for box in boxes:
            box[key] = dealt[box[key]]
    return {**annotations, "annotations": boxes}


def _only(annotations: Annotations, numbers: Collection[int]) -> Annotations:
    return {
        **annotations,
        "images": [image for image in annotations["images"] if image["id"] in numbers],
        "annotations": [box for box in annotations["annotations"] if box["image_id"] in numbers],
    }
