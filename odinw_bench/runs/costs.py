"""How long runs may take: what an image costs each model in training and in testing, fitted to finished runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.evaluation.table import recorded_evaluation
from odinw_bench.runs.archive import archived_records
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.estimate import passes_in_testing
from odinw_bench.runs.record import RECORD, read_record
from odinw_bench.runs.schema import RunRecord
from odinw_bench.utils.folders import find_folders

_NEWEST = 4
"""Records that are read of each model, data set and mode, however many there are."""

Key = tuple[str, str]
"""A model, and a mode or an evaluation."""


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
    """Seconds for each image, by model and mode, and for what is done once in a run.

    Testing costs a model the same in every mode. Tuning costs so much for each training image, and a third of that for
    each validation image; early stopping is expected to leave out what it left out in the records. Loading, scoring
    and writing take what they usually took.

    Attributes:
        testing: by model and evaluation (empty: COCO's): sums of seconds and images.
        tuning: by model and mode.
        once: by model and whether it was asked what it still knows: seconds of each run beside tuning and testing.
    """

    testing: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    tuning: dict[Key, _Sums] = field(default_factory=lambda: defaultdict(_Sums))
    once: dict[tuple[str, bool], list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, results: Path | str, models: Collection[str], device: str | None = None) -> CostModel:
        """Fitted to finished runs below a folder, the newest of each model, data set and mode.

        Args:
            results: the folder.
            models: of which runs are wanted.
            device: count only runs on the same kind of device (``cpu``, ``cuda``); None: all.
        """
        model = cls()
        for record in _newest(Path(results), models):
            if device is None or _kind(record.environment.get("device")) in ("", _kind(device)):
                model._add_testing(record)
                model._add_tuning(record)
                model._add_once(record)
        return model

    def seconds(self, cell: Cell) -> float | None:
        """How long a cell may take; None where no record says."""
        seconds = self._test_seconds(cell)
        if seconds is None:
            return None
        once = self.once.get((cell.facts.name, bool(cell.retained)), [0.0])
        seconds += max(0.0, statistics.median(once))  # a run that was interrupted for days is no usual one
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

    def _test_seconds(self, cell: Cell) -> float | None:
        """By runs of the same evaluation, or else by COCO's and how often this one looks at an image."""
        name, evaluation = cell.facts.name, _evaluation(recorded_evaluation(cell.task))
        seconds, images = self.testing.get((name, evaluation), (0.0, 0.0))
        if images:
            return seconds / images * len(cell.test)
        seconds, images = self.testing.get((name, ""), (0.0, 0.0))
        return seconds / images * passes_in_testing(cell) if images else None

    def _add_testing(self, record: RunRecord) -> None:
        seconds, images = record.cost.get("test_seconds"), record.data.get("test_images")
        if seconds and images:
            sums = self.testing[record.spec.model, _evaluation(record)]
            sums[0] += seconds
            sums[1] += images

    def _add_once(self, record: RunRecord) -> None:
        seconds, ends = record.cost.get("test_seconds"), (record.get("started"), record.get("finished"))
        if seconds is None:
            return
        try:
            started, finished = (datetime.fromisoformat(str(end)) for end in ends)
            took = (finished - started).total_seconds()
        except (TypeError, ValueError):  # not known, or one with a time zone and the other without
            return
        rest = took - seconds - (record.cost.get("tune_seconds") or 0.0)  # the times are of whole seconds
        self.once[record.spec.model, bool(record.retention)].append(rest)

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


def _evaluation(holder: Mapping[str, Any]) -> str:
    """The name of the evaluation that a record, or what it holds of one, names; empty: COCO's."""
    return str((holder.get("evaluation") or {}).get("name", ""))


def _kind(device: object) -> str:
    return str(device or "").partition(":")[0]


def _newest(results: Path, models: Collection[str]) -> Iterator[RunRecord]:
    """Finished runs of some models, the newest of each model, data set and mode, as the names of their folders say.

    A results folder may hold tens of thousands; to look at their names takes a fraction of a second.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    try:
        archived = archived_records(results)
    except InputError:  # whoever reads it says what is wrong
        archived = {}
    for folder in {*find_folders(results, RECORD), *archived}:
        *_, model, dataset, name = ("", "", *folder.parts)
        if model in models:
            groups[model, dataset, name.rsplit("-", 3)[0]].append(folder)  # without shots, seed and digest
    for group in groups.values():
        read = 0
        for folder in sorted(group, key=_age):
            try:
                record = read_record(folder)
            except InputError:
                continue
            if record.is_done:
                yield record
                read += 1
            if read == _NEWEST:
                break


def _age(folder: Path) -> tuple[float, Path]:
    """Newest first; those in an archive, of which that is not known, last."""
    try:
        return -(folder / RECORD).stat().st_mtime, folder
    except OSError:
        return 0.0, folder


def seconds_of(cells: Sequence[Cell], results: Path | str, device: str | None = None) -> list[float | None]:
    """How long each cell may take, by the records in a folder; None where no record says.

    Args:
        cells: what is to be done.
        results: the folder.
        device: see :meth:`CostModel.of`.
    """
    if not cells:
        return []
    model = CostModel.of(results, {cell.facts.name for cell in cells}, device)
    return [model.seconds(cell) for cell in cells]
