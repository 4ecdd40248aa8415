"""Referring expressions as on RefCOCO: how often the one object that is meant is among the first boxes.

There is no official rule from GLIP's logits to boxes here. Ours: the whole expression is the phrase, as a class name
is in a prompt; beside it its head noun phrase alone, where the annotations mark it. Each has up to 100 boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError
from odinw_bench.evaluation.base import Conditions
from odinw_bench.evaluation.grounding import NO_BOX, SentenceEvaluation, ranked
from odinw_bench.utils.text import shorten

if TYPE_CHECKING:
    from glip_core import Detections
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.sentences import Sentence, SentenceSplit
    from odinw_bench.datasets.task import Task
    from odinw_bench.models import Model

_KEPT = 10
"""Boxes that are written: no metric looks further."""

_WHOLE, _HEAD = 0, 1
"""Places of the whole expression and its head in a sentence's phrases."""


class RefexpEvaluation(SentenceEvaluation):
    """Precision at 1, 5 and 10 by the plain IoU; beside it by the generalised IoU, and for the head phrase."""

    name: ClassVar[str] = "refexp"
    headline: ClassVar[str] = "P@1"
    shown: ClassVar[Sequence[str]] = ("P@1", "P@5", "P@10", "P@1_giou", "P@1_head")
    apart: ClassVar[bool] = True

    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> list[Any]:
        """See :class:`Evaluation`; a prediction has ``expression_id``, ``boxes`` (corners) and ``scores``.

        Where the head phrase is known it also has ``head`` with such boxes and scores. Of each the ten best are kept;
        without any it is [0, 0, 0, 0] with score 0.
        """
        del task, prompt
        return self.answers(model, split, conditions, _answer)

    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """See :class:`Evaluation` and :func:`odinw_bench.metrics.refexp.evaluate_refexp`; there are no others.

        A prediction of another program needs ``expression_id`` (``image_id`` is read likewise, as in the evaluator
        that GLIP's code has), ``boxes`` and ``scores``.
        """
        from odinw_bench.datasets.sentences import SentenceSplit
        from odinw_bench.metrics.refexp import RANKS, evaluate_refexp
        from odinw_bench.metrics.resampling import share_interval

        self.check_metrics(task, extra)
        assert isinstance(split, SentenceSplit)
        whole = _by_expression(predictions)
        heads = {key: one["head"] for key, one in whole.items() if one.get("head") is not None}
        truth = _truth(split, task.name, _WHOLE)
        found = evaluate_refexp(truth, whole)[task.name]
        generalised = evaluate_refexp(truth, whole, generalised=True)[task.name]
        metrics = {**found, "P@1_interval": share_interval(self.counts(split, predictions))}
        metrics |= {f"{name}_giou": generalised[name] for name in RANKS}
        marked = _truth(split, task.name, _HEAD)
        if heads and marked["images"]:
            by_head = evaluate_refexp(marked, heads)[task.name]
            metrics |= {f"{name}_head": by_head[name] for name in RANKS} | {"heads": by_head["expressions"]}
        by_type = evaluate_refexp(_truth(split, None, _WHOLE), whole)
        if set(by_type) != {""}:
            for name in (*RANKS, "expressions"):
                metrics[f"{name}_by_type"] = {kind: values[name] for kind, values in by_type.items()}
        return metrics

    def counts(self, split: Split, predictions: Any) -> Mapping[Any, tuple[int, int]]:
        """See :class:`Evaluation`."""
        from odinw_bench.datasets.sentences import SentenceSplit
        from odinw_bench.metrics.refexp import evaluate_refexp

        assert isinstance(split, SentenceSplit)
        picture = {one.number: str(key) for key, listed in split.sentences.items() for one in listed}
        truth = _truth(split, "", _WHOLE)
        for image in truth["images"]:
            image["dataset_name"] = picture[image["id"]]
        found = evaluate_refexp(truth, _by_expression(predictions))
        return {key: (round(one["P@1"] * one["expressions"] / 100), one["expressions"]) for key, one in found.items()}


def _answer(image_id: Any, sentence: Sentence, found: Detections) -> dict[str, Any]:
    parts = [_best(found, number) for number in range(len(sentence.phrases))]
    head = {"head": parts[_HEAD]} if len(parts) > _HEAD else {}
    return {"image_id": image_id, "expression_id": sentence.number, **parts[_WHOLE], **head}


def _best(found: Detections, phrase: int) -> dict[str, Any]:
    boxes, scores = ranked(found, phrase, _KEPT)
    return {"boxes": boxes or [NO_BOX], "scores": scores or [0.0]}


def _truth(split: SentenceSplit, dataset: str | None, phrase: int) -> dict[str, Any]:
    """MDETR's form of the annotations; ``dataset``: of all, or None: the type of each in place of one."""
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for listed in split.sentences.values():
        for sentence in listed:
            if len(sentence.phrases) <= phrase:
                continue
            meant = sentence.phrases[phrase]
            x1, y1, x2, y2 = meant.boxes[0]
            kind = (meant.types or ("",))[0] if dataset is None else dataset
            images.append({"id": sentence.number, "dataset_name": kind})
            boxes.append({"image_id": sentence.number, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    return {"images": images, "annotations": boxes}


def _by_expression(predictions: Any) -> dict[int, Mapping[str, Any]]:
    """The predictions by the number of their expression; of two the first counts."""
    if not isinstance(predictions, Sequence) or isinstance(predictions, str):
        raise InputError(f"the predictions must be a list of expressions with their boxes, not {shorten(predictions)}")
    found: dict[int, Mapping[str, Any]] = {}
    twice: dict[int, int] = defaultdict(int)
    for place, entry in enumerate(predictions):
        if not isinstance(entry, Mapping):
            raise InputError(f"predictions[{place}] must be an object with expression_id, boxes, scores")
        key = entry.get("expression_id", entry.get("image_id"))
        if not isinstance(key, int) or isinstance(key, bool):
            raise InputError(f"predictions[{place}].expression_id must be a whole number, not {shorten(key)}")
        twice[key] += 1
        found.setdefault(key, entry)
    if again := [key for key, count in twice.items() if count > 1]:
        raise InputError(f"expression {again[0]} is predicted {twice[again[0]]} times")
    return found
