"""How many steps and evaluations a recipe makes of a training set."""

from __future__ import annotations

from dataclasses import dataclass

from odinw_bench.engine.recipes import Hyperparameters


def repeats_within_epoch(images: int, settings: Hyperparameters) -> int:
    """How often a training set is repeated within an epoch: by the recipe's repeats or its least number of steps."""
    wanted = settings.min_steps_per_epoch * settings.batch
    return max(settings.repeats_per_epoch, -(-wanted // max(1, images)))


@dataclass(frozen=True)
class Length:
    """How long a tuning run is at most.

    Attributes:
        epochs: what :attr:`Hyperparameters.eval_every` counts, the last of which may be shorter.
        steps: optimiser steps of each but the last.
        total: steps of all.
    """

    epochs: int
    steps: int
    total: int

    @classmethod
    def of(cls, images: int, settings: Hyperparameters) -> Length:
        """For a number of training images; see :attr:`Hyperparameters.count_steps`."""
        images_per_epoch = images * repeats_within_epoch(images, settings)
        if not settings.count_steps:
            steps = max(1, images_per_epoch // settings.batch)  # a last incomplete batch is not made
            return cls(settings.epochs, steps, settings.epochs * steps)
        total = max(1, settings.epochs * images_per_epoch // settings.batch)
        steps = max(1, total // settings.epochs)
        return cls(-(-total // steps), steps, total)

    def steps_of(self, epoch: int) -> int:
        """Steps of one of the epochs, which count from 1."""
        return min(self.steps, self.total - (epoch - 1) * self.steps)
