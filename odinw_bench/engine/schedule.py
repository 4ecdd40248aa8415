"""The order of a tuning run: which images come when, when rates fall, when it ends."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from odinw_bench.datasets.annotations import ImageId
from odinw_bench.engine.data import ImageRequest
from odinw_bench.engine.length import Length, repeats_within_epoch
from odinw_bench.engine.recipes import Hyperparameters


@dataclass
class EarlyStopping:
    """Which weights to keep and when to stop, from validation AP alone, by the official rule.

    Attributes:
        patience: evaluations below the best AP before the end.
        best: the best AP in percent; it begins at 0, so the first evaluation is always kept.
        worse: evaluations below the best since it was reached.
    """

    patience: int
    best: float = 0.0
    worse: int = 0

    def update(self, ap: float) -> bool:
        """Count an evaluation.

        Args:
            ap: validation AP in percent.

        Returns:
            whether these weights are the best so far. Ties count: of equal weights the latest are kept.
        """
        is_best = ap >= self.best
        if is_best:
            self.best, self.worse = ap, 0
        else:
            self.worse += 1
        return is_best

    @property
    def should_stop(self) -> bool:
        """Whether patience is exhausted; to be asked after an evaluation."""
        return self.worse >= self.patience

    def state(self) -> dict[str, Any]:
        """For :meth:`restore`."""
        return {"best": self.best, "worse": self.worse}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self.best, self.worse = state["best"], state["worse"]


class PlateauSchedule(ReduceLROnPlateau):
    """Torch's plateau schedule with the official settings: all rates fall to a tenth when AP no longer rises.

    Args:
        optimiser: rates that begin below the limit stay as they are.
        settings: give ``step_patience`` (evaluations without a gain that are allowed) and ``min_lr`` (the limit).
    """

    def __init__(self, optimiser: Optimizer, settings: Hyperparameters) -> None:
        super().__init__(
            optimiser,
            mode="max",
            factor=0.1,
            patience=settings.step_patience,
            threshold=1e-4,  # relative gain in AP that counts
            min_lr=[min(settings.min_lr, group["lr"]) for group in optimiser.param_groups],
            eps=0.0,  # torch's default would leave rates below 1e-8 where they are
        )

    def update(self, ap: float) -> None:
        """Count an evaluation and lower the rates where it is time; an AP of exactly 0 is ignored, as officially.

        Args:
            ap: validation AP in percent.
        """
        if ap > 0:
            self.step(ap)


class StepSchedule:
    """All rates fall to a tenth after fixed shares of the steps; an interrupted run resumes with the optimiser's rates.

    Args:
        optimiser: whose rates fall.
        settings: give the shares, ``step_at``.
        total: steps of the whole run.
    """

    def __init__(self, optimiser: Optimizer, settings: Hyperparameters, total: int) -> None:
        self.optimiser = optimiser
        self.falls = [round(share * total) for share in settings.step_at]

    def update(self, step: int) -> None:
        """Count a step.

        Args:
            step: its number, from 1.
        """
        for _ in range(self.falls.count(step)):
            for group in self.optimiser.param_groups:
                group["lr"] *= 0.1


class DataOrder:
    """Endless batches of image requests, shuffled: every image as often as an epoch repeats it before any comes again.

    Args:
        image_ids: the training images, at least one.
        settings: give batch size, repeats and augmentation.
        seed: of everything random here.
    """

    def __init__(self, image_ids: Sequence[ImageId], settings: Hyperparameters, seed: int) -> None:
        self.image_ids, self.settings = list(image_ids), settings
        self._draw = random.Random(f"{seed}/order")
        self._waiting: list[ImageId] = []

    @property
    def length(self) -> Length:
        """How long a run with these images is at most."""
        return Length.of(len(self.image_ids), self.settings)

    def batch(self) -> list[ImageRequest]:
        """The next batch."""
        requests = []
        for _ in range(self.settings.batch):
            if not self._waiting:
                self._waiting = self.image_ids * repeats_within_epoch(len(self.image_ids), self.settings)
                self._draw.shuffle(self._waiting)
            image_id = self._waiting.pop()
            scale = self._draw.choice(self.settings.scales)
            requests.append(ImageRequest(image_id, scale=scale, flip=self._draw.random() < self.settings.flip))
        return requests

    def state(self) -> dict[str, Any]:
        """For :meth:`restore`."""
        return {"draw": self._draw.getstate(), "waiting": list(self._waiting)}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self._draw.setstate(state["draw"])
        self._waiting = list(state["waiting"])
