"""LVIS: many classes in chunks, federated annotations, fixed AP and plain AP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError
from odinw_bench.evaluation.base import Conditions, Evaluation
from odinw_bench.utils.text import shorten

if TYPE_CHECKING:
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.task import Task
    from odinw_bench.models import Model

_GROUPS = ("APr", "APc", "APf")


class LvisEvaluation(Evaluation):
    """The protocol of the GLIP paper's table 3.

    Attributes:
        chunk: classes of one caption.
        per_pass: detections that are kept of an image and a caption.
    """

    name: ClassVar[str] = "lvis"
    headline: ClassVar[str] = "AP"
    shown: ClassVar[Sequence[str]] = ("AP", *_GROUPS)
    modes: ClassVar[Sequence[str] | None] = ("zero-shot", "manual")
    only_because: ClassVar[str] = "a prompt of this many classes is read in chunks, and only a whole one can be tuned"
    chunk: ClassVar[int] = 40
    per_pass: ClassVar[int] = 300

    def identity(self, task: Task) -> dict[str, Any]:
        """See :class:`Evaluation`."""
        return super().identity(task) | {"classes_per_caption": self.chunk, "detections_per_pass": self.per_pass}

    def passes(self, task: Task, split: Split) -> int:
        """See :class:`Evaluation`: a prompt for each chunk of classes."""
        return len(split) * -(-len(task.classes) // self.chunk)

    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> Any:
        """See :class:`Evaluation`; of the detections only those are kept that count for one of the metrics."""
        from odinw_bench.engine.chunks import detect_in_chunks  # torch: time that --help need not pay
        from odinw_bench.engine.unfinished import UnfinishedTest
        from odinw_bench.metrics.lvis_stream import LvisStream
        from odinw_bench.metrics.lvis_truth import LvisTruth

        del task
        stream = LvisStream(split.image_ids, split.category_ids, LvisTruth(split.annotations))

        def take(image_id: Any, found: Any) -> None:
            boxes = found.boxes.float()
            sides = boxes[:, 2:] - boxes[:, :2]  # LVIS' way: without the inclusive pixel
            stream.add(image_id, _joined(boxes[:, :2], sides), found.scores.float().numpy(), found.labels.numpy())

        shared, unfinished = conditions.distributed, conditions.unfinished or UnfinishedTest()
        share = split if shared.size == 1 else split.subset(shared.shard(split.image_ids))
        share, kept = unfinished.begin(share)
        if kept:
            stream.restore(kept)

        def count(images: int) -> None:
            unfinished.keep(images, stream.kept)
            if conditions.on_images:
                conditions.on_images(images)

        detect_in_chunks(
            model,
            prompt,
            share,
            take,
            chunk=self.chunk,
            per_pass=self.per_pass,
            precision=conditions.precision,
            micro_batching=conditions.micro_batching,
            on_images=count,
            on_wait=conditions.on_wait,
        )
        return stream.result(shared.all_gather([stream.state()]))

    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """See :class:`Evaluation`: fixed AP under the usual names, plain AP beside it in ``plain``.

        Predictions that say what each ``counts`` for are taken so; of others all are, by the rules of
        :func:`odinw_bench.metrics.evaluate_lvis`.
        """
        from odinw_bench.metrics.lvis import measure
        from odinw_bench.metrics.lvis_stream import FIXED, PER_IMAGE, PLAIN, LvisPredictions
        from odinw_bench.metrics.lvis_truth import LvisTruth

        self.check_metrics(task, extra)
        truth = LvisTruth(split.annotations)
        if isinstance(predictions, LvisPredictions):
            fixed, plain = (predictions.table(kind) for kind in (FIXED, PLAIN))
        else:
            fixed, plain = _tables(predictions, truth)
        found = measure(truth, fixed, limit=-1)
        beside = measure(truth, plain, limit=PER_IMAGE)
        per_class = {str(category): values["AP"] for category, values in found.pop("per_category").items()}
        beside.pop("per_category")
        return {**found, "plain": beside, "per_class": per_class}

    def write(self, path: Path, predictions: Any) -> None:
        """See :class:`Evaluation`."""
        predictions.write(path)


def _joined(first: Any, second: Any) -> Any:
    import torch

    return torch.cat([first, second], dim=1).numpy()


def _tables(predictions: Any, truth: Any) -> tuple[Any, Any]:
    """What counts for fixed and for plain AP of a list of COCO results."""
    from odinw_bench.metrics.lvis_stream import COUNTS, FIXED, PER_IMAGE, PLAIN, TOP_PER_CLASS
    from odinw_bench.metrics.lvis_truth import best_of, detection_table

    chosen = isinstance(predictions, list) and any(isinstance(one, Mapping) and "counts" in one for one in predictions)
    if not chosen:
        table = detection_table(predictions, truth)
        fixed = table.at(best_of(table.categories, table.scores, TOP_PER_CLASS))
        return fixed, table.at(best_of(table.images, table.scores, PER_IMAGE))
    for number, entry in enumerate(predictions):
        counts = entry.get("counts") if isinstance(entry, Mapping) else None
        if not isinstance(counts, str) or counts not in COUNTS:
            raise InputError(
                f"predictions[{number}].counts must be {', '.join(COUNTS)} in all or none, not {shorten(counts)}"
            )
    kinds = ([one for one in predictions if COUNTS[one["counts"]] & kind] for kind in (FIXED, PLAIN))
    first, second = (detection_table(kind, truth) for kind in kinds)
    return first, second
