"""What an image costs each model in training and in testing, fitted to records of finished runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.estimate import passes_in_testing
from odinw_bench.runs.record import find_records
from odinw_bench.runs.schema import RunRecord

Key = tuple[str, str]
"""A model and a mode."""


@dataclass
class _Sums:
    """Of the records of one key.

    Attributes:
        seconds: of tuning.
        passes: training images shown to the model.
        most: training images that their recipes allow at most; early stopping leaves some out.
        evaluated: validation images looked at while tuning.
    """

    seconds: float = 0.0
    passes: float = 0.0
    most: float = 0.0
    evaluated: float = 0.0


@dataclass
class CostModel:
    """Seconds for each image, by model and mode.

    Testing costs a model the same in every mode. Tuning costs so much for each training image, and a third of that for
    each validation image; early stopping is expected to leave out what it left out in the records.

    Attributes:
        testing: by model: sums of seconds and images.
        tuning: by model and mode.
    """

    testing: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    tuning: dict[Key, _Sums] = field(default_factory=lambda: defaultdict(_Sums))

    @classmethod
    def of(cls, results: Path | str) -> CostModel:
        """Fitted to the finished runs below a folder."""
        model, records = cls(), [record for _, record in find_records(results) if record.is_done]
        for record in records:
            model._add_testing(record)
        for record in records:
            model._add_tuning(record)
        return model

    def seconds(self, cell: Cell) -> float | None:
        """How long a cell may take; None where no record says."""
        testing = self._test_seconds(cell.facts.name)
        if testing is None:
            return None
        seconds = testing * passes_in_testing(cell)
        if cell.settings is None:
            return seconds
        sums = self.tuning.get((cell.facts.name, cell.spec.mode_name))
        if sums is None or not sums.passes:
            return None
        assert cell.train is not None
        assert cell.validation is not None
        passes = cell.most_passes * sums.passes / sums.most
        epochs = passes / (Length.of(len(cell.train.trainable_ids()), cell.settings).steps * cell.settings.batch)
        evaluated = epochs / cell.settings.eval_every * len(cell.validation)
        return seconds + sums.seconds * _work(passes, evaluated) / _work(sums.passes, sums.evaluated)

    def _test_seconds(self, model: str) -> float | None:
        seconds, images = self.testing.get(model, (0.0, 0.0))
        return seconds / images if images else None

    def _add_testing(self, record: RunRecord) -> None:
        seconds, images = record.cost.get("test_seconds"), record.data.get("test_images")
        if seconds and images and "evaluation" not in record:  # other evaluations look at an image several times
            sums = self.testing[record.spec.model]
            sums[0] += seconds
            sums[1] += images

    def _add_tuning(self, record: RunRecord) -> None:
        settings = Hyperparameters.from_json(record.protocol.get("hyperparameters") or {})
        seconds, steps = record.cost.get("tune_seconds"), record.cost.get("tune_steps")
        images = record.data.get("train_images")
        if not (seconds and steps and images and settings):
            return
        length = Length.of(images, settings)
        evaluations = steps / length.steps / settings.eval_every
        sums = self.tuning[record.spec.model, record.spec.mode]
        sums.passes += steps * settings.batch
        sums.most += max(steps, length.total) * settings.batch
        sums.evaluated += evaluations * (record.data.get("validation_images") or 0)
        sums.seconds += seconds


def _work(passes: float, evaluated: float) -> float:
    """Training and validation images as one number: forward and backward are three times forward."""
    return 3 * passes + evaluated


def seconds_of(cells: Iterable[Cell], results: Path | str) -> list[float | None]:
    """How long each cell may take, by the records in a folder; None where no record says."""
    model = CostModel.of(results)
    return [model.seconds(cell) for cell in cells]
