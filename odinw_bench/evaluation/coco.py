"""COCO's AP: all classes in one prompt, boxes of every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from odinw_bench.evaluation.base import COCO, Conditions, Evaluation

if TYPE_CHECKING:
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.task import Task
    from odinw_bench.models import Model


class CocoEvaluation(Evaluation):
    """Detections of the whole split, scored by the reference evaluator, and metrics beside it."""

    name: ClassVar[str] = COCO
    headline: ClassVar[str] = "AP"
    shown: ClassVar[Sequence[str]] = ("AP", "AP50")
    takes_metrics: ClassVar[bool] = True

    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> list[Any]:
        """See :class:`Evaluation`; the list is COCO results."""
        from odinw_bench.engine.predict import detect_split  # torch: time that --help need not pay

        del task
        return detect_split(
            model,
            prompt,
            split,
            precision=conditions.precision,
            distributed=conditions.distributed,
            micro_batching=conditions.micro_batching,
            on_images=conditions.on_images,
            on_wait=conditions.on_wait,
            unfinished=conditions.unfinished,
        )

    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """See :class:`Evaluation` and :func:`odinw_bench.metrics.extra.evaluate_all`."""
        from odinw_bench.metrics.extra import evaluate_all

        del task
        return evaluate_all(split.annotations, predictions, extra)
