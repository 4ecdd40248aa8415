"""The tuning loop: the official recipe, written plainly."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from glip_core import Detector, Prompt
from glip_core.losses import Normalisers
from glip_core.tuning import TuningMode, parameter_groups
from odinw_bench.annotations import ImageId
from odinw_bench.coco import Split
from odinw_bench.evaluation import evaluate
from odinw_bench.features import FeatureCache, Features, FrozenPart
from odinw_bench.inference import autocast, detect_split
from odinw_bench.protocol import Hyperparameters
from odinw_bench.views import Loaded, View, load_view, view_targets

_BETTER_BY = 1e-4  # relative gain in AP that counts for the plateau schedule


class DivergedError(RuntimeError):
    """The loss is not finite any more."""


@dataclass
class Tuned:
    """What came out of tuning.

    Attributes:
        best_ap: AP on the validation split, in percent, of the weights that were kept.
        best_epoch: from 1; 0 where no epoch was evaluated.
        seconds: wall-clock time, validation included.
        steps: optimiser steps.
        history: one line per evaluation.
        parameters: values that moved.
    """

    best_ap: float
    best_epoch: int
    seconds: float
    steps: int
    parameters: int
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Patience:
    """When rates fall and when to stop, from validation AP alone (training_spec: plateau schedule, early stop).

    Attributes:
        step_patience: evaluations without a better AP before the rates fall.
        stop_patience: evaluations with a worse AP before the end.
    """

    step_patience: int
    stop_patience: int
    best: float = 0.0
    worse: int = 0
    plateau_best: float = 0.0
    plateau_bad: int = 0

    def judge(self, ap: float) -> tuple[bool, bool, bool]:
        """(keep these weights, lower the rates, stop), after an evaluation.

        Ties with the best are kept, and the best begins at 0, so the first evaluation is always kept. An AP of
        exactly 0 does not count for the plateau.
        """
        keep = ap >= self.best
        if keep:
            self.best, self.worse = ap, 0
        else:
            self.worse += 1
        lower = False
        if ap > self.plateau_best * (1 + _BETTER_BY):
            self.plateau_best, self.plateau_bad = ap, 0
        elif ap > 0:
            self.plateau_bad += 1
            if self.plateau_bad > self.step_patience:
                lower, self.plateau_bad = True, 0
        return keep, lower, self.worse >= self.stop_patience


def tune(
    detector: Detector,
    mode: TuningMode,
    prompt: Prompt,
    train: Split,
    validation: Split,
    settings: Hyperparameters,
    *,
    seed: int,
    precision: str = "fp32",
    cache: FeatureCache | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Tuned:
    """Tune a detector in place; it ends with the weights of the best validation AP.

    Every image is padded on its own. Images of one padded size share a pass; the losses of a batch are normalised
    over the whole batch either way.

    Args:
        detector: the model to tune.
        mode: what moves.
        prompt: the task's classes.
        train: images to learn from; those without a usable box are left out.
        validation: images to select on.
        settings: the recipe.
        seed: of data order and augmentation.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        cache: for frozen features.
        on_epoch: told each line of the history.

    Raises:
        DivergedError: a loss became infinite or not a number.
        InputError: an image cannot be read.
    """
    torch.manual_seed(seed)
    moving = mode.prepare(detector, prompt)
    groups = parameter_groups(
        moving, lr=settings.lr, language_lr=settings.language_lr, weight_decay=settings.weight_decay
    )
    optimiser = torch.optim.AdamW([{k: v for k, v in group.items() if k != "names"} for group in groups])
    scaler = torch.amp.GradScaler(detector.device.type, enabled=precision == "fp16")
    frozen = FrozenPart(detector, mode, prompt, cache or FeatureCache()) if mode.frozen_vision else None
    batches = _batches(train.trainable_ids(), settings, seed)
    per_epoch = max(1, len(train.trainable_ids()) * settings.copies // settings.batch)
    patience = Patience(settings.step_patience, settings.stop_patience)
    result = Tuned(0.0, 0, 0.0, 0, sum(p.numel() for p in moving.values()))
    best: dict[str, Tensor] = {}
    started = time.perf_counter()
    for epoch in range(1, settings.epochs + 1):
        sums: dict[str, float] = {}
        for _ in range(per_epoch):
            mode.train(detector)
            losses = _step(
                detector, prompt, train, next(batches), moving, optimiser, scaler, settings, precision, frozen
            )
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value / per_epoch
            result.steps += 1
        if epoch % settings.eval_every and epoch < settings.epochs:
            continue
        ap = _validate(detector, prompt, validation, precision, frozen)
        keep, lower, stop = patience.judge(ap)
        line = {
            "epoch": epoch,
            "steps": result.steps,
            "lr": max(group["lr"] for group in optimiser.param_groups),
            "losses": {name: round(value, 6) for name, value in sums.items()},
            "validation_AP": ap,
            "best": keep,
            "seconds": round(time.perf_counter() - started, 3),
        }
        result.history.append(line)
        if on_epoch:
            on_epoch(line)
        if keep:
            best = {name: p.detach().clone() for name, p in moving.items()}
            result.best_ap, result.best_epoch = ap, epoch
        if lower:
            for group in optimiser.param_groups:
                group["lr"] = max(group["lr"] * 0.1, min(settings.min_lr, group["lr"]))
        if stop:
            break
    with torch.no_grad():
        for name, kept in best.items():
            moving[name].copy_(kept)
    result.seconds = time.perf_counter() - started
    detector.eval()
    return result


def _batches(ids: Sequence[ImageId], settings: Hyperparameters, seed: int) -> Iterator[list[View]]:
    """Endless batches of views: every image ``copies`` times before any comes again, in shuffled order."""
    draw = random.Random(f"{seed}/order")
    waiting: list[ImageId] = []
    while True:
        views = []
        for _ in range(settings.batch):
            if not waiting:
                waiting = list(ids) * settings.copies
                draw.shuffle(waiting)
            views.append(View(waiting.pop(), scale=draw.choice(settings.scales), flip=draw.random() < settings.flip))
        yield views


def _step(
    detector: Detector,
    prompt: Prompt,
    train: Split,
    views: Sequence[View],
    moving: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    settings: Hyperparameters,
    precision: str,
    frozen: FrozenPart | None,
) -> dict[str, float]:
    """One optimiser step over a batch; returns its losses."""
    groups: dict[tuple[int, int], list[tuple[View, Loaded | Features]]] = {}
    with autocast(detector.device, precision):
        for view in views:

            def load(view: View = view) -> Loaded:
                return load_view(train, view, detector)

            item = load() if frozen is None else frozen.of((train.sha256, view), load)
            groups.setdefault(item.padded_hw, []).append((view, item))
    targets = {
        size: [view_targets(train, view, item.hw, detector.device) for view, item in members]
        for size, members in groups.items()
    }
    total = Normalisers(0.0, 0.0)
    for size, found in targets.items():
        for target in found:
            total = total + detector.normalisers(size, target)
    optimiser.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    for size, members in groups.items():
        with autocast(detector.device, precision):
            if frozen is None:
                pixels = torch.cat([item.pixels for _, item in members if isinstance(item, Loaded)])
                raw = detector.forward_raw(pixels, prompt)
            else:
                raw = frozen.outputs([item for _, item in members if isinstance(item, Features)])
        losses = detector.losses_from_raw(raw, targets[size], prompt, normalisers=total)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise DivergedError(f"the loss became {float(loss.detach())}: lower the learning rate (--set lr=...)")
        scaler.scale(loss).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(list(moving.values()), settings.clip)
    scaler.step(optimiser)
    scaler.update()
    return sums


def _validate(
    detector: Detector, prompt: Prompt, validation: Split, precision: str, frozen: FrozenPart | None
) -> float:
    """AP in percent; 0 where the split has nothing to find."""
    predictions = detect_split(detector, prompt, validation, precision=precision, frozen=frozen)
    return float(evaluate(validation.annotations, predictions)["AP"] or 0.0)
