"""The tuning loop: the official recipe, written plainly."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import Any, Self

import torch
from torch import Tensor

from glip_core import Prompt
from glip_core.modes import TuningMode
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.data import ImageRequest, request_targets
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext
from odinw_bench.engine.features import FeatureCache, FrozenPart
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.optimise import DivergedError, Optimisation, copy_into
from odinw_bench.engine.predict import autocast, detect_split
from odinw_bench.engine.reading import read
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.engine.resuming import take_up
from odinw_bench.engine.schedule import DataOrder, EarlyStopping, PlateauSchedule, StepSchedule
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models import AnyPrompt, ModelInput, TunableModel

__all__ = ["DivergedError", "Tuned", "tune"]


@dataclass
class Tuned:
    """What came out of tuning.

    Attributes:
        parameters: number of trained parameters.
        best_ap: AP on the validation split, in percent, of the weights that were kept.
        best_epoch: from 1.
        images_per_pass: where memory was too short for a whole batch at once; else None.
        seconds: wall-clock time, validation included, interruptions not.
        steps: optimiser steps.
        skipped_steps: of those, left out since a loss or gradient was not finite, in fp16.
        history: one line per epoch.
    """

    parameters: int
    best_ap: float = 0.0
    best_epoch: int = 0
    images_per_pass: int | None = None
    seconds: float = 0.0
    steps: int = 0
    skipped_steps: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def tune(
    model: TunableModel,
    mode: TuningMode,
    prompt: Prompt,
    train: Split,
    validation: Split,
    settings: Hyperparameters,
    *,
    seed: int,
    precision: str = "fp32",
    cache: FeatureCache | None = None,
    resume: Resume | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_resume: Callable[[list[dict[str, Any]]], None] | None = None,
) -> Tuned:
    """Tune a model in place; it ends with the weights of the best validation AP, in evaluation mode.

    Every image is padded on its own. Images of one padded size share a pass; the losses of a batch are normalised
    over the whole batch either way. Torch's own random state is the same afterwards as before.

    Args:
        model: the model to tune.
        mode: what is trained.
        prompt: the task's classes.
        train: images to learn from; those without a usable box are left out.
        validation: images to select on.
        settings: the recipe.
        seed: of data order and augmentation.
        precision: ``fp32``, ``bf16`` or ``fp16``; while tuning the recipe may have one of its own.
        cache: for frozen features.
        resume: where the state is kept; a run that was interrupted resumes from there, with the same numbers.
        distributed: the processes that share this run; all call with the same arguments.
        on_epoch: called with each new line of the history.
        on_resume: called with the lines there are, where a run goes on that was interrupted.

    Raises:
        DivergedError: a loss became infinite or not a number.
        InputError: an image cannot be read, or this process finds another state than the leader.
        MemoryExhaustedError: not even one image at a time fits into memory.
    """
    resume = resume or Resume()
    device = torch.device(model.device)
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        cache = cache or FeatureCache()
        mode = mode.configured(settings)
        loop = _Loop(model, mode, prompt, train, validation, settings, seed, precision, cache, distributed)
        if take_up(loop, resume, distributed) and on_resume:
            on_resume(loop.tuned.history)
        while not loop.finished:
            line = loop.epoch()
            if on_epoch:
                on_epoch(line)
            resume.offer(loop.state)
        loop.keep_best()
    return loop.tuned


@dataclass(frozen=True)
class _Arithmetic:
    """What is computed once of a prompt and of images, in one precision.

    Attributes:
        precision: see :func:`~odinw_bench.engine.predict.autocast`.
        prompt: encoded, where its encoding is frozen.
        frozen: of images; None where nothing of them is frozen.
    """

    precision: str
    prompt: AnyPrompt
    frozen: FrozenPart | None

    @classmethod
    def of(cls, model: TunableModel, mode: TuningMode, prompt: Prompt, precision: str, cache: FeatureCache) -> Self:
        """For a model that is prepared for a mode."""
        with autocast(torch.device(model.device), precision):
            encoded = model.encode_frozen(mode, prompt)  # the same for all steps and evaluations
        frozen = FrozenPart(model, mode, encoded, cache, precision) if model.can_cache(mode) else None
        return cls(precision, encoded, frozen)


class _Loop:
    """A tuning run between two epochs."""

    def __init__(
        self,
        model: TunableModel,
        mode: TuningMode,
        prompt: Prompt,
        train: Split,
        validation: Split,
        settings: Hyperparameters,
        seed: int,
        precision: str,
        cache: FeatureCache,
        distributed: DistributedContext = SINGLE_PROCESS,
    ) -> None:
        self.seed, self.distributed = seed, distributed
        self.model, self.device = model, torch.device(model.device)
        self.train, self.validation, self.settings = train, validation, settings
        if settings.tower_dropout:
            mode = mode.with_tower_dropout()
        self.trainable = model.trainable(mode, prompt)
        model.text_per_image = settings.text_per_image
        self.micro_batching = MicroBatching()
        own = precision if settings.train_precision == "run" else settings.train_precision
        self.optimisation = Optimisation(model, self.trainable, settings, own, self.distributed, self.micro_batching)
        self.learning = _Arithmetic.of(model, mode, prompt, own, cache)
        self.testing = self.learning
        if precision != own:
            self.testing = _Arithmetic.of(model, mode, prompt, precision, cache)
        self.order = DataOrder(train.trainable_ids(), settings, seed)
        self.length = self.order.length
        self.early_stopping = EarlyStopping(settings.stop_patience)
        self.plateau = PlateauSchedule(self.optimisation.optimiser, settings)
        self.falls = StepSchedule(self.optimisation.optimiser, settings, self.length.total)
        self.tuned = Tuned(parameters=sum(p.numel() for p in self.trainable.values()))
        self.best: dict[str, Tensor] = {}
        self.stopped = False

    @property
    def finished(self) -> bool:
        """No epoch is left to do."""
        return self.stopped or self.epochs >= self.length.epochs

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.tuned.history)

    def epoch(self) -> dict[str, Any]:
        """One epoch, and the evaluation after it where one is due; returns the history's line."""
        started = time.perf_counter()
        number = self.epochs + 1
        if not self.distributed.is_main:  # else all would draw the same dropout, and a state holds the leader's draws
            torch.manual_seed(self.seed + 1_000_003 * number + self.distributed.rank)
        steps = self.length.steps_of(number)
        batches = [self.distributed.shard(self.order.batch()) for _ in range(steps)]
        done: list[dict[str, float]] = []
        with closing(self.images(chain.from_iterable(batches))) as images:
            for number_of_step, batch in enumerate(batches, start=self.tuned.steps + 1):
                losses = self.step(islice(images, len(batch)))
                self.falls.update(number_of_step)
                if losses is not None:
                    done.append(losses)
        sums: dict[str, float] = {}
        for name, value in chain.from_iterable(losses.items() for losses in done):
            sums[name] = sums.get(name, 0.0) + value / len(done)
        self.tuned.steps += steps
        self.tuned.skipped_steps += steps - len(done)
        line: dict[str, Any] = {
            "epoch": number,
            "steps": self.tuned.steps,
            "lr": self.optimisation.rate,
            "losses": {name: round(value, 6) for name, value in sums.items()},
            "validation_AP": None,
            "best": False,
        }
        if len(done) < steps:
            line["skipped_steps"] = steps - len(done)
        if number % self.settings.eval_every == 0 or number == self.length.epochs:
            line["validation_AP"] = ap = self.evaluate()
            line["best"] = self.early_stopping.update(ap)
            self.stopped = self.early_stopping.should_stop
            if line["best"]:
                self.best = {name: p.detach().clone() for name, p in self.trainable.items()}
                self.tuned.best_ap, self.tuned.best_epoch = ap, number
            self.plateau.update(ap)
        self.tuned.seconds += time.perf_counter() - started
        line["seconds"] = round(self.tuned.seconds, 3)
        self.tuned.history.append(line)
        return line

    def images(self, requests: Iterable[ImageRequest]) -> Generator[tuple[ImageRequest, ModelInput]]:
        """What the model takes of some requests."""
        return read(self.train, requests, self.model, self.learning.frozen)

    def step(self, images: Iterable[tuple[ImageRequest, ModelInput]]) -> dict[str, float] | None:
        """One optimiser step over this process's share of a batch; returns the whole batch's losses."""
        examples = ((one, request_targets(self.train, request, one.hw, self.device)) for request, one in images)
        losses = self.optimisation.step(examples, self.learning.prompt)
        self.tuned.images_per_pass = self.micro_batching.max_images
        return losses

    def evaluate(self) -> float:
        """AP on the validation split in percent; 0 where it has nothing to find."""
        predictions = detect_split(
            self.model,
            self.testing.prompt,
            self.validation,
            precision=self.testing.precision,
            frozen=self.testing.frozen,
            distributed=self.distributed,
            micro_batching=self.micro_batching,
        )
        return float(evaluate(self.validation.annotations, predictions, official_ids=False)["AP"] or 0.0)

    def keep_best(self) -> None:
        """Back to the weights of the best evaluation."""
        copy_into(self.trainable, self.best)
        self.model.eval()

    def state(self) -> dict[str, Any]:
        """Everything that changes while tuning."""
        return {
            "trainable": {name: p.detach() for name, p in self.trainable.items()},
            "best": self.best,
            **self.optimisation.state(),
            "order": self.order.state(),
            "early_stopping": self.early_stopping.state(),
            "plateau": self.plateau.state_dict(),
            "tuned": asdict(self.tuned),
            "stopped": self.stopped,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def accepts(self, state: dict[str, Any]) -> bool:
        """Whether a state has the keys of this version: another version's begins again instead of failing halfway."""
        mine = self.state()
        own = ("trainable", "order", "early_stopping", "tuned")  # the other parts are torch's affair
        return state.keys() == mine.keys() and all(
            isinstance(state[part], dict) and state[part].keys() == mine[part].keys() for part in own
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state of the same run."""
        copy_into(self.trainable, state["trainable"])
        self.best = {name: kept.to(self.device) for name, kept in state["best"].items()}
        self.optimisation.restore(state)
        self.order.restore(state["order"])
        self.early_stopping.restore(state["early_stopping"])
        self.plateau.load_state_dict(state["plateau"])
        self.tuned = Tuned(**state["tuned"])
        self.stopped = state["stopped"]
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
