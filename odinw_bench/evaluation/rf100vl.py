"""Roboflow100-VL's AP: COCO's on up to 500 detections an image, as its authors score it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from odinw_bench.evaluation.base import Conditions
from odinw_bench.evaluation.coco import CocoEvaluation

if TYPE_CHECKING:
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.task import Task
    from odinw_bench.models import Model


class RF100VLEvaluation(CocoEvaluation):
    """Detections of the whole split, 500 of an image kept, scored by the reference evaluator on as many.

    Attributes:
        detections: of an image and class that count, and of an image that are kept.
    """

    name: ClassVar[str] = "rf100vl"
    shown: ClassVar[Sequence[str]] = ("AP", "AP50", "AP75")
    detections: ClassVar[int] = 500

    def identity(self, task: Task) -> dict[str, Any]:
        """See :class:`~odinw_bench.evaluation.base.Evaluation`."""
        return super().identity(task) | {"detections": self.detections}

    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> list[Any]:
        """See :class:`~odinw_bench.evaluation.base.Evaluation`; a model with a limit of its own may keep fewer."""
        with model.keeping(self.detections):
            return super().detect(model, task, prompt, split, conditions)

    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """See :class:`~odinw_bench.evaluation.base.Evaluation`."""
        from odinw_bench.metrics.extra import evaluate_all

        del task
        return evaluate_all(split.annotations, predictions, extra, max_detections=self.detections)
