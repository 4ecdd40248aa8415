"""Phrase grounding as on Flickr30k Entities: recall of the boxes ranked for each phrase of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from odinw_bench.evaluation.base import Conditions
from odinw_bench.evaluation.grounding import NO_BOX, SentenceEvaluation, ranked

if TYPE_CHECKING:
    from glip_core import Detections
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.sentences import Sentence
    from odinw_bench.datasets.task import Task
    from odinw_bench.models import Model


class FlickrEvaluation(SentenceEvaluation):
    """Recall at 1, 5, 10 and of all boxes, where any box of a phrase is right; beside it with the boxes merged."""

    name: ClassVar[str] = "flickr"
    headline: ClassVar[str] = "R@1"
    shown: ClassVar[Sequence[str]] = ("R@1", "R@5", "R@10", "upper_bound", "R@1_merged")

    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> list[Any]:
        """See :class:`Evaluation`; each prediction has ``image_id``, ``sentence_id`` and ``boxes`` (corners) by phrase.

        A sentence has 100 boxes at most, all phrases together, and [0, 0, 0, 0] is appended to each phrase's.
        """
        del task, prompt
        return self.answers(model, split, conditions, _answer)

    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """See :class:`Evaluation` and :func:`odinw_bench.metrics.flickr.phrase_recalls`; there are no others."""
        from odinw_bench.metrics.flickr import RANKS, phrase_recalls
        from odinw_bench.metrics.resampling import share_interval

        self.check_metrics(task, extra)
        truth = _truth(split)
        found = phrase_recalls(truth, predictions)
        merged = phrase_recalls(truth, predictions, merged=True)
        metrics = {name: found[name] for name in (*RANKS, "phrases")} | {"sentences": len(truth)}
        metrics["R@1_interval"] = share_interval(self.counts(split, predictions))
        metrics |= {f"{name}_merged": merged[name] for name in RANKS}
        if found["per_type"]:
            for name in (*RANKS, "phrases"):
                metrics[f"{name}_by_type"] = {kind: values[name] for kind, values in found["per_type"].items()}
        return metrics

    def counts(self, split: Split, predictions: Any) -> Mapping[Any, tuple[int, int]]:
        """See :class:`Evaluation`."""
        from odinw_bench.metrics.flickr import phrase_recalls

        found: Mapping[Any, tuple[int, int]] = phrase_recalls(_truth(split), predictions, count_images=True)["by_image"]
        return found


def _truth(split: Split) -> dict[tuple[int, int], Sequence[Any]]:
    """The phrases of each sentence."""
    from odinw_bench.datasets.sentences import SentenceSplit

    assert isinstance(split, SentenceSplit)
    return {
        (int(image_id), sentence.number): sentence.phrases
        for image_id, listed in split.sentences.items()
        for sentence in listed
    }


def _answer(image_id: Any, sentence: Sentence, found: Detections) -> dict[str, Any]:
    boxes = [[*ranked(found, number)[0], NO_BOX] for number in range(len(sentence.phrases))]
    return {"image_id": image_id, "sentence_id": sentence.number, "boxes": boxes}
