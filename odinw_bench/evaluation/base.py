"""What a way of testing must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError
from odinw_bench.utils.io import write_json

if TYPE_CHECKING:
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.task import Task
    from odinw_bench.engine.distributed import DistributedContext
    from odinw_bench.engine.micro_batch import MicroBatching
    from odinw_bench.engine.unfinished import UnfinishedTest
    from odinw_bench.models import Model, ModelFacts

COCO = "coco"
"""The evaluation of every task that names no other; records and digests do not mention it."""


@dataclass(frozen=True)
class Conditions:
    """Under what conditions a split is detected in.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        distributed: the processes that share the work; each gets all predictions.
        micro_batching: how many images go through together where memory is short.
        on_images: called with the number of images after every batch.
        on_wait: called with the seconds for which the model waited for a batch's images.
        unfinished: keeps what was found so far, for tests that are killed.
    """

    precision: str
    distributed: DistributedContext
    micro_batching: MicroBatching
    on_images: Callable[[int], None] | None = None
    on_wait: Callable[[float], None] | None = None
    unfinished: UnfinishedTest | None = None


class Evaluation(ABC):
    """A way of testing: from a model and a split to predictions, and from these to metrics.

    Attributes:
        name: as ``Task.evaluation`` names it.
        headline: the metric that stands in AP's place in tables; a percentage.
        shown: the metrics that tables print, headline first.
        modes: the tuning modes it can be done in; None: all.
        only_because: why there are no others, after "because".
        counted: the headline is a share that :meth:`counts` counts by image.
        takes_metrics: other metrics can be computed beside its own, from COCO annotations and results.
    """

    name: ClassVar[str]
    headline: ClassVar[str] = "AP"
    shown: ClassVar[Sequence[str]] = ("AP",)
    modes: ClassVar[Sequence[str] | None] = None
    only_because: ClassVar[str] = ""
    counted: ClassVar[bool] = False
    takes_metrics: ClassVar[bool] = False

    def check_mode(self, task: Task, mode: str) -> None:
        """Refuse a mode that makes no sense here.

        Raises:
            InputError: it does not.
        """
        if self.modes is not None and mode not in self.modes:
            raise InputError(
                f"mode '{mode}' is not for '{task.name}': its evaluation '{self.name}' is done in "
                f"{' and '.join(self.modes)} alone, because {self.only_because}"
            )

    def check_model(self, task: Task, facts: ModelFacts) -> None:  # noqa: B027  any model can look for classes
        """Refuse a model that cannot be tested this way.

        Raises:
            InputError: it cannot.
        """

    def check_metrics(self, task: Task, extra: Sequence[str]) -> None:
        """Refuse metrics beside its own that cannot be computed; to be asked before any work.

        Args:
            task: what is tested.
            extra: as ``PACKAGE.MODULE:FUNCTION``.

        Raises:
            InputError: there are some, and it takes none.
        """
        if extra and not self.takes_metrics:
            raise InputError(f"metrics beside its own cannot be computed for '{task.name}': leave --metric out")

    def prompts(self, task: Task) -> bool:
        """Whether the task has one prompt of classes for all images; else each image brings its own."""
        del task
        return True

    def identity(self, task: Task) -> dict[str, Any]:
        """What of this way of testing can change the numbers: part of a run's digest, but for COCO's."""
        del task
        return {"name": self.name}

    def passes(self, task: Task, split: Split) -> int:
        """Images that are looked at, counted once for each prompt: what estimates of time go by.

        What does not depend on the prompt is computed once for all prompts of an image, so it is a bound.
        """
        del task
        return len(split)

    @abstractmethod
    def detect(self, model: Model, task: Task, prompt: Any, split: Split, conditions: Conditions) -> Any:
        """Predictions in every image of a split, for :meth:`write` and :meth:`score`.

        Args:
            model: in any state; it is put into evaluation mode.
            task: whose split it is.
            prompt: of the run.
            split: the images.
            conditions: precision, processes, progress.

        Raises:
            InputError: an image cannot be read.
        """

    @abstractmethod
    def score(self, task: Task, split: Split, predictions: Any, extra: Sequence[str] = ()) -> dict[str, Any]:
        """The metrics of a record, :attr:`headline` among them: numbers (percent), None, or objects of these.

        Args:
            task: whose split it is.
            split: the images with their ground truth.
            predictions: as :meth:`detect` gives them, or of another program.
            extra: metrics beside its own, as ``PACKAGE.MODULE:FUNCTION``; see :meth:`check_metrics`.

        Raises:
            InputError: a prediction cannot be used, or a metric not be computed.
        """

    def write(self, path: Path, predictions: Any) -> None:
        """Write ``predictions.json``."""
        write_json(path, predictions, indent=None)

    def counts(self, split: Split, predictions: Any) -> Mapping[Any, tuple[int, int]] | None:
        """By image, how often the headline metric found what it asks for, and of how many; None: it is no such share.

        Args:
            split: the images with their ground truth.
            predictions: see :meth:`score`.
        """
        del split, predictions
        return None

    def to_json(self, task: Task) -> Mapping[str, Any]:
        """The record's ``evaluation``."""
        return self.identity(task) | {"headline": self.headline, "shown": list(self.shown)}
