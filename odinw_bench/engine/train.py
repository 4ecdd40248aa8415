"""The tuning loop: the official recipe, written plainly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

from glip_core import Prompt, Targets
from glip_core.modes import TuningMode
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.data import ImageRequest, request_targets
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext
from odinw_bench.engine.features import FeatureCache, FrozenPart
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.predict import autocast, detect_split
from odinw_bench.engine.reading import read
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.engine.schedule import DataOrder, Patience
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models import ModelInput, TunableModel


class DivergedError(RuntimeError):
    """The loss is not finite any more."""


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
        history: one line per epoch.
    """

    parameters: int
    best_ap: float = 0.0
    best_epoch: int = 0
    images_per_pass: int | None = None
    seconds: float = 0.0
    steps: int = 0
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
        precision: ``fp32``, ``bf16`` or ``fp16``.
        cache: for frozen features.
        resume: where the state is kept; a run that was interrupted resumes from there, with the same numbers.
        distributed: the processes that share this run; all call with the same arguments.
        on_epoch: called with each new line of the history.

    Raises:
        DivergedError: a loss became infinite or not a number.
        InputError: an image cannot be read.
        MemoryExhaustedError: not even one image at a time fits into memory.
    """
    resume = resume or Resume()
    device = torch.device(model.device)
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        cache = cache or FeatureCache()
        loop = _Loop(model, mode, prompt, train, validation, settings, seed, precision, cache, distributed)
        if (state := resume.load()) is not None:
            loop.restore(state)
        while not loop.finished:
            line = loop.epoch()
            if on_epoch:
                on_epoch(line)
            resume.offer(loop.state)
        loop.keep_best()
    return loop.tuned


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
        self.train, self.validation = train, validation
        self.settings, self.precision = settings, precision
        self.trainable = model.trainable(mode, prompt)
        self.optimiser = torch.optim.AdamW(model.parameter_groups(settings), fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        with autocast(self.device, precision):
            self.prompt = model.encode_frozen(mode, prompt)  # the same for all steps and evaluations
        self.frozen = FrozenPart(model, mode, self.prompt, cache) if model.can_cache(mode) else None
        self.order = DataOrder(train.trainable_ids(), settings, seed)
        self.patience = Patience(settings.step_patience, settings.stop_patience)
        self.tuned = Tuned(parameters=sum(p.numel() for p in self.trainable.values()))
        self.micro_batching = MicroBatching()
        self.best: dict[str, Tensor] = {}
        self.stopped = False

    @property
    def finished(self) -> bool:
        """No epoch is left to do."""
        return self.stopped or len(self.tuned.history) >= self.settings.epochs

    def epoch(self) -> dict[str, Any]:
        """One epoch, and the evaluation after it where one is due; returns the history's line."""
        started = time.perf_counter()
        number = len(self.tuned.history) + 1
        if not self.distributed.is_main:  # else all would draw the same dropout, and a state holds the leader's draws
            torch.manual_seed(self.seed + 1_000_003 * number + self.distributed.rank)
        sums: dict[str, float] = {}
        batches = [self.distributed.shard(self.order.batch()) for _ in range(self.order.steps)]
        with closing(self.images(chain.from_iterable(batches))) as images:
            for batch in batches:
                for name, value in self.step(islice(images, len(batch))).items():
                    sums[name] = sums.get(name, 0.0) + value / len(batches)
        line: dict[str, Any] = {
            "epoch": number,
            "steps": self.tuned.steps,
            "lr": max(group["lr"] for group in self.optimiser.param_groups),
            "losses": {name: round(value, 6) for name, value in sums.items()},
            "validation_AP": None,
            "best": False,
        }
        if number % self.settings.eval_every == 0 or number == self.settings.epochs:
            line["validation_AP"] = ap = self.evaluate()
            line["best"], lower, self.stopped = self.patience.judge(ap)
            if line["best"]:
                self.best = {name: p.detach().clone() for name, p in self.trainable.items()}
                self.tuned.best_ap, self.tuned.best_epoch = ap, number
            if lower:
                self.lower_rates()
        self.tuned.seconds += time.perf_counter() - started
        line["seconds"] = round(self.tuned.seconds, 3)
        self.tuned.history.append(line)
        return line

    def images(self, requests: Iterable[ImageRequest]) -> Generator[tuple[ImageRequest, ModelInput]]:
        """What the model takes of some requests."""
        return read(self.train, requests, self.model, self.frozen)

    def step(self, images: Iterable[tuple[ImageRequest, ModelInput]]) -> dict[str, float]:
        """One optimiser step over this process's share of a batch; returns the whole batch's losses."""
        self.model.train()
        groups: dict[Hashable, list[tuple[ModelInput, Targets]]] = {}
        total = dict.fromkeys(self.model.normaliser_names, 0.0)
        with autocast(self.device, self.precision):
            for request, one in images:
                targets = request_targets(self.train, request, one.hw, self.device)
                groups.setdefault(one.batch_key, []).append((one, targets))
                for name, value in self.model.normalisers(one, targets).items():
                    total[name] += value
        total = self.distributed.all_reduce(total)
        largest = max(map(len, groups.values()), default=1)
        sums = self.distributed.all_reduce(
            self.micro_batching.run(largest, partial(self.backward, list(groups.values()), total))
        )
        self.tuned.images_per_pass = self.micro_batching.max_images
        if not math.isfinite(sum(sums.values())):
            raise DivergedError(f"the loss became {sum(sums.values())}: lower the learning rate (--set lr=...)")
        self.distributed.all_reduce_gradients(self.trainable.values())
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(list(self.trainable.values()), self.settings.max_grad_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.tuned.steps += 1
        return sums

    def backward(
        self, groups: Sequence[Sequence[tuple[ModelInput, Targets]]], total: Mapping[str, float]
    ) -> dict[str, float]:
        """Gradients of the losses of some images, each group of one ``batch_key``; returns the losses."""
        self.optimiser.zero_grad(set_to_none=True)
        sums = dict.fromkeys(self.model.loss_names, 0.0)
        for members in (part for group in groups for part in self.micro_batching.split(group)):
            inputs, targets = [one for one, _ in members], [one for _, one in members]
            with autocast(self.device, self.precision):
                losses = self.model.losses(inputs, targets, self.prompt, total)
            self.scaler.scale(torch.stack(list(losses.values())).sum()).backward()
            for name, value in losses.items():
                sums[name] += float(value.detach())
        return sums

    def evaluate(self) -> float:
        """AP on the validation split in percent; 0 where it has nothing to find."""
        predictions = detect_split(
            self.model,
            self.prompt,
            self.validation,
            precision=self.precision,
            frozen=self.frozen,
            distributed=self.distributed,
            micro_batching=self.micro_batching,
        )
        return float(evaluate(self.validation.annotations, predictions, official_ids=False)["AP"] or 0.0)

    def lower_rates(self) -> None:
        """Ten times slower, within the limit."""
        for group in self.optimiser.param_groups:
            group["lr"] = max(group["lr"] * 0.1, min(self.settings.min_lr, group["lr"]))

    def keep_best(self) -> None:
        """Back to the weights of the best evaluation."""
        with torch.no_grad():
            for name, kept in self.best.items():
                self.trainable[name].copy_(kept)
        self.model.eval()

    def state(self) -> dict[str, Any]:
        """Everything that changes while tuning."""
        cuda = self.device.type == "cuda"
        return {
            "trainable": {name: p.detach() for name, p in self.trainable.items()},
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": self.order.state(),
            "patience": self.patience.state(),
            "tuned": asdict(self.tuned),
            "stopped": self.stopped,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same run."""
        with torch.no_grad():
            for name, kept in state["trainable"].items():
                self.trainable[name].copy_(kept)
        self.best = {name: kept.to(self.device) for name, kept in state["best"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.order.restore(state["order"])
        self.patience.restore(state["patience"])
        self.tuned = Tuned(**state["tuned"])
        self.stopped = state["stopped"]
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
