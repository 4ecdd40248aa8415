"""What one process does for one run: load the model, tune it, test it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from glip_core import InputError
from odinw_bench.datasets.prompts import prompt_to_json
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.distributed import DistributedContext
from odinw_bench.engine.feature_store import make_cache
from odinw_bench.engine.length import Length
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.train import Tuned, tune
from odinw_bench.engine.unfinished import UnfinishedTest
from odinw_bench.evaluation import Conditions, evaluation_of
from odinw_bench.models import Model, TunableModel, find_mode
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.environment import peak_memory_of, reset_peak_memory
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.progress import HISTORY, CellProgress
from odinw_bench.runs.record import TUNED, write_lines
from odinw_bench.runs.retention import measure_base, measure_tuned
from odinw_bench.utils.io import write_json


def load_model(cell: Cell, device: str, *, lenient: bool = False) -> Model:
    """The base model of a run.

    Args:
        cell: the run.
        device: ``cpu`` or ``cuda[:N]``.
        lenient: ignore names in the weights that the model has no use for.

    Raises:
        InputError: the weights are of another model.
    """
    spec, found = cell.spec, cell.model
    load = found.load_lenient if lenient else found.load
    return load(cell.weights, device, classes=len(cell.task.classes), seed=spec.seed)


def load_tunable(cell: Cell, device: str, *, lenient: bool = False) -> TunableModel:
    """The base model of a run that tunes it; see :func:`load_model`.

    Raises:
        InputError: see :func:`load_model`; or the model cannot be tuned.
    """
    model = load_model(cell, device, lenient=lenient)
    if not isinstance(model, TunableModel):
        raise InputError(f"'{cell.spec.model}' cannot be tuned here: --mode {' or '.join(model.modes)}")
    return model


@dataclass
class Work:
    """The work of one run in one process.

    Attributes:
        cell: the run.
        folder: to write to.
        options: how it is done.
        resume: where the state of tuning is kept.
        tested: where this process keeps what it found in testing so far.
        distributed: the processes that share the run.
        progress: called on each step.
    """

    cell: Cell
    folder: Path
    options: RunOptions
    resume: Resume
    tested: Resume
    distributed: DistributedContext
    progress: CellProgress

    def tune_and_test(self, model: Model) -> dict[str, Any]:
        """Tune, test; returns the record's ``metrics`` and ``cost``, and ``retention`` where that is asked for."""
        cell = self.cell
        total = model.parameters
        base = self.measure_base(model)
        tuned = self.tune(model) if isinstance(model, TunableModel) and cell.settings else None
        write_json(self.folder / "prompt.json", prompt_to_json(cell.prompt))
        unfinished = UnfinishedTest(self.tested, self.folder / TUNED if tuned else None)
        seen, share = 0, len(self.distributed.shard(cell.test.image_ids))

        def count(images: int) -> None:
            nonlocal seen
            seen += images
            self.progress.tested(unfinished.restored + seen, share)

        micro_batching = MicroBatching()
        evaluation = evaluation_of(cell.task)
        conditions = Conditions(
            cell.spec.precision, self.distributed, micro_batching, count, unfinished.wait, unfinished
        )
        predictions = evaluation.detect(model, cell.task, cell.prompt, cell.test, conditions)
        seconds, waited = unfinished.seconds, unfinished.waited
        scored = time.perf_counter()
        metrics = evaluation.score(cell.task, cell.test, predictions, self.options.metrics)
        stages = {"images": waited, "model": seconds - waited, "scoring": time.perf_counter() - scored}
        evaluation.write(self.folder / "predictions.json", predictions)
        cost = {
            "tune_seconds": round(tuned.seconds, 3) if tuned else 0.0,
            "tune_steps": tuned.steps if tuned else 0,
            "skipped_steps": tuned.skipped_steps if tuned else 0,
            "best_epoch": tuned.best_epoch if tuned else None,
            "validation_AP": tuned.best_ap if tuned else None,
            "test_seconds": round(seconds, 3),
            "test_stages": {name: round(value, 3) for name, value in stages.items()},
            "images_per_second": round(len(cell.test) / seconds, 3),
            "images_per_pass": {
                "tuning": tuned.images_per_pass if tuned else None,
                "testing": micro_batching.max_images,
            },
            "peak_memory_bytes": peak_memory_of(model),
            "tuned_parameters": tuned.parameters if tuned else 0,
            "total_parameters": total,
        }
        if not cell.retained:
            return {"metrics": metrics, "cost": cost}
        self.progress.say("what was known before")
        return {"metrics": metrics, "cost": cost, "retention": measure_tuned(model, cell, base, self.distributed)}

    def measure_base(self, model: Model) -> dict[str, float]:
        """AP of the base on what it is asked again after tuning; empty where nothing is."""
        if not self.cell.retained:
            return {}
        self.progress.say("what the base knows")
        found = measure_base(model, self.cell, self.options.results, self.distributed)
        reset_peak_memory(str(model.device))  # that of tuning and testing is reported
        return found

    def tune(self, model: TunableModel) -> Tuned:
        """Tune, and write what came of it."""
        cell, settings = self.cell, self.cell.settings
        assert settings is not None
        assert cell.train is not None
        assert cell.validation is not None
        mode = find_mode(cell.spec.mode)
        self.progress.begin_tuning(Length.of(len(cell.train.trainable_ids()), settings).epochs)
        tuned = tune(
            model,
            mode,
            cell.prompt,
            cell.train,
            cell.validation,
            settings,
            seed=cell.spec.seed,
            precision=cell.spec.precision,
            cache=make_cache(self.options.cache),
            resume=self.resume,
            distributed=self.distributed,
            on_epoch=self.progress.epoch,
            on_resume=self.progress.resume,
        )
        write_lines(self.folder / HISTORY, tuned.history)
        save_file(model.tuned_state(), self.folder / TUNED)
        return tuned
