"""One optimiser step over a batch: losses, gradients, clipping, and what happens where a loss is not finite."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from glip_core import Targets
from odinw_bench.engine.distributed import DistributedContext
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.predict import autocast
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.models import AnyPrompt, ModelInput, TunableModel

MOST_SKIPPED = 20
"""Steps in a row that may come to nothing in fp16, before the run ends."""

_COUNT = "positives"
"""Name of the normaliser that :attr:`Hyperparameters.min_positives` bounds, where a model has it."""


class DivergedError(RuntimeError):
    """The loss is not finite any more."""


class Optimisation:
    """AdamW with clipped gradients.

    In fp16 the losses are scaled, and a step whose losses or gradients are not finite is left out, as the official
    code in effect does; the scale halves with each, so a few at the beginning are no fault. In other precisions such
    a loss ends the run.

    Attributes:
        optimiser: of the trained parameters.
        scaler: of the losses; does nothing but in fp16.
        skipped: steps in a row that were left out, up to now.

    Args:
        model: prepared for its mode.
        trainable: what is trained, by name.
        settings: the recipe.
        precision: of the passes.
        distributed: the processes that share each batch.
        micro_batching: how many images go through together where memory is short.
    """

    def __init__(
        self,
        model: TunableModel,
        trainable: Mapping[str, nn.Parameter],
        settings: Hyperparameters,
        precision: str,
        distributed: DistributedContext,
        micro_batching: MicroBatching,
    ) -> None:
        self.model, self.settings, self.precision = model, settings, precision
        self.parameters = list(trainable.values())
        self.distributed, self.micro_batching = distributed, micro_batching
        self.device = torch.device(model.device)
        self.optimiser = torch.optim.AdamW(model.parameter_groups(settings), fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.scaler.scale(torch.zeros((), device=self.device))  # sets it up: a process without images scales no loss
        self.skipped = 0

    def step(self, examples: Iterable[tuple[ModelInput, Targets]], prompt: AnyPrompt) -> dict[str, float] | None:
        """One step over this process's share of a batch.

        Args:
            examples: images or features with their ground truth.
            prompt: the classes.

        Returns:
            The whole batch's losses; None where the step was left out.

        Raises:
            DivergedError: a loss is not finite, and the precision is no reason for it.
            MemoryExhaustedError: not even one image at a time fits into memory.
        """
        self.model.train()
        groups: dict[Hashable, list[tuple[ModelInput, Targets]]] = {}
        total = dict.fromkeys(self.model.normaliser_names, 0.0)
        with autocast(self.device, self.precision):
            for one, targets in examples:
                groups.setdefault(one.batch_key, []).append((one, targets))
                for name, value in self.model.normalisers(one, targets).items():
                    total[name] += value
        total = self.distributed.all_reduce(total)
        if _COUNT in total:
            total[_COUNT] = max(total[_COUNT], float(self.settings.min_positives))
        largest = max(map(len, groups.values()), default=1)
        work = partial(self._backward, list(groups.values()), total, prompt)
        sums = self.distributed.all_reduce(self.micro_batching.run(largest, work))
        done = self._update(sum(sums.values()))
        self.skipped = 0 if done else self.skipped + 1
        if self.skipped == MOST_SKIPPED:
            raise DivergedError(
                f"{MOST_SKIPPED} steps in a row had losses or gradients that are not finite: lower the learning rate "
                "(--set lr=...), or tune in float32 (--set train_precision=fp32)"
            )
        return sums if done else None

    def _backward(
        self, groups: Sequence[Sequence[tuple[ModelInput, Targets]]], total: Mapping[str, float], prompt: AnyPrompt
    ) -> dict[str, float]:
        """Gradients of the losses of some images, each group of one ``batch_key``; returns the losses."""
        self.optimiser.zero_grad(set_to_none=True)
        sums = dict.fromkeys(self.model.loss_names, 0.0)
        for members in (part for group in groups for part in self.micro_batching.split(group)):
            inputs, targets = [one for one, _ in members], [one for _, one in members]
            with autocast(self.device, self.precision):
                losses = self.model.losses(inputs, targets, prompt, total)
            self.scaler.scale(torch.stack(list(losses.values())).sum()).backward()
            for name, value in losses.items():
                sums[name] += float(value.detach())
        return sums

    def _update(self, loss: float) -> bool:
        """Update the parameters by the gradients of a loss; False: it or they are not finite, and nothing changed."""
        if not math.isfinite(loss):
            if not self.scaler.is_enabled():
                raise DivergedError(f"the loss became {loss}: lower the learning rate (--set lr=...)")
            self.scaler.update(self.scaler.get_scale() * self.scaler.get_backoff_factor())
            return False
        self.distributed.all_reduce_gradients(self.parameters)
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        self.scaler.step(self.optimiser)
        before = self.scaler.get_scale()
        self.scaler.update()
        return self.scaler.get_scale() >= before

    @property
    def rate(self) -> float:
        """The largest learning rate in force."""
        return float(max(group["lr"] for group in self.optimiser.param_groups))

    def state(self) -> dict[str, Any]:
        """For :meth:`restore`."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "skipped": self.skipped,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.skipped = state["skipped"]


def copy_into(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Set parameters to kept values, by name."""
    with torch.no_grad():
        for name, kept in values.items():
            parameters[name].copy_(kept)
