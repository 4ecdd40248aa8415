"""Testing with sentences: the pictures of a split, each with all that is said of it, go through the model once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError
from odinw_bench.evaluation.base import Evaluation

if TYPE_CHECKING:
    from glip_core import Detections
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.sentences import Sentence, SentenceSplit
    from odinw_bench.datasets.task import Task
    from odinw_bench.evaluation.base import Conditions
    from odinw_bench.models import Model, ModelFacts

NO_BOX = [0.0, 0.0, 0.0, 0.0]
"""What stands for "not in the picture", last of a phrase's boxes, as in the official evaluation."""

Answer = Callable[[Any, "Sentence", "Detections"], dict[str, Any]]
"""From a picture's id, a sentence and its detections in the picture's pixels to a prediction."""


class SentenceEvaluation(Evaluation):
    """What testing with sentences has in common: they are the prompts, so nothing can be tuned for them yet.

    Attributes:
        apart: each phrase of a sentence has a limit of its own on its boxes.
    """

    modes: ClassVar[Sequence[str] | None] = ("zero-shot",)
    only_because: ClassVar[str] = "each sentence is a prompt of its own"
    counted: ClassVar[bool] = True
    apart: ClassVar[bool] = False

    def check_model(self, task: Task, facts: ModelFacts) -> None:
        """See :class:`Evaluation`."""
        if not facts.grounds:
            raise InputError(
                f"'{facts.name}' is not for '{task.name}': it looks for classes, not for the phrases of a sentence; "
                "take a GLIP model, or give its predictions to 'odinw-bench score'"
            )

    def prompts(self, task: Task) -> bool:
        """See :class:`Evaluation`."""
        del task
        return False

    def passes(self, task: Task, split: Split) -> int:
        """See :class:`Evaluation`: a prompt for each sentence."""
        from odinw_bench.datasets.sentences import SentenceSplit

        del task
        assert isinstance(split, SentenceSplit)
        return sum(map(len, split.sentences.values()))

    def ask(self, sentence: Sentence) -> Sequence[Sequence[tuple[int, int]]]:
        """The phrases that the model is asked for."""
        return [phrase.spans for phrase in sentence.phrases]

    def answers(self, model: Model, split: Split, conditions: Conditions, answer: Answer) -> list[dict[str, Any]]:
        """A prediction for every sentence of a split, in its order.

        Args:
            model: in any state.
            split: the pictures.
            conditions: precision, processes, progress.
            answer: makes a prediction.

        Raises:
            InputError: an image cannot be read, or a sentence is longer than the model reads.
        """
        import torch

        from glip_core.preprocess import scale_boxes
        from odinw_bench.datasets.sentences import SentenceSplit
        from odinw_bench.engine.data import ImageRequest
        from odinw_bench.engine.predict import autocast, gathered, timed
        from odinw_bench.engine.reading import read
        from odinw_bench.engine.unfinished import UnfinishedTest

        assert isinstance(split, SentenceSplit)
        share: SentenceSplit = split
        distributed = conditions.distributed
        if distributed.size > 1:
            share = split.subset(distributed.shard(split.image_ids))
        model.eval()
        unfinished = conditions.unfinished or UnfinishedTest()
        share, kept = unfinished.begin(share)
        found: list[dict[str, Any]] = kept or []
        with torch.no_grad(), autocast(torch.device(model.device), conditions.precision):
            images = read(share, map(ImageRequest, share.image_ids), model)
            for request, one in timed(images, conditions.on_wait):
                image_id = request.image_id
                width, height = share.size(image_id)
                sentences = share.sentences[image_id]
                asked = [(sentence.text, self.ask(sentence)) for sentence in sentences]
                for sentence, boxes in zip(
                    sentences, model.ground_sentences(one, asked, apart=self.apart), strict=True
                ):
                    placed = scale_boxes(boxes.boxes, one.hw, (height, width))
                    found.append(answer(image_id, sentence, _on_cpu(boxes, placed)))
                unfinished.keep(1, found.copy)
                if conditions.on_images:
                    conditions.on_images(1)
        return gathered(found, split, distributed) if distributed.size > 1 else found


def _on_cpu(found: Detections, boxes: Any) -> Detections:
    from dataclasses import replace

    return replace(found, boxes=boxes).to("cpu")


def ranked(found: Detections, phrase: int, most: int | None = None) -> tuple[list[list[float]], list[float]]:
    """The boxes of one phrase, best first, and their scores.

    Args:
        found: of a sentence, best first; labels are positions of phrases.
        phrase: the position.
        most: how many at most; None: all.
    """
    rows = found[found.labels == phrase][:most]
    boxes = [[round(value, 4) for value in box] for box in rows.boxes.tolist()]
    return boxes, [round(score, 7) for score in rows.scores.tolist()]
