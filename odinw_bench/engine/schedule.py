"""The order of a tuning run: which images come when, when rates fall, when it ends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from odinw_bench.datasets.annotations import ImageId
from odinw_bench.engine.data import ImageRequest
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import Hyperparameters

_BETTER_BY = 1e-4  # relative gain in AP that counts for the plateau schedule


@dataclass
class Patience:
    """When rates fall and when to stop, from validation AP alone (the official plateau schedule and early stop).

    Attributes:
        step_patience: evaluations without a better AP before the rates fall.
        stop_patience: evaluations with a worse AP before the end.
        best: the best AP.
        worse: evaluations below it since it was reached.
        plateau_best: the best AP as the plateau schedule counts it.
        plateau_bad: evaluations without a better one.
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

    def state(self) -> dict[str, Any]:
        """For :meth:`restore`."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name, value in state.items():
            setattr(self, name, value)


class DataOrder:
    """Endless batches of views: every image ``repeats_per_epoch`` times before any comes again, in shuffled order.

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
        views = []
        for _ in range(self.settings.batch):
            if not self._waiting:
                self._waiting = self.image_ids * self.settings.repeats_per_epoch
                self._draw.shuffle(self._waiting)
            image_id = self._waiting.pop()
            scale = self._draw.choice(self.settings.scales)
            views.append(ImageRequest(image_id, scale=scale, flip=self._draw.random() < self.settings.flip))
        return views

    def state(self) -> dict[str, Any]:
        """For :meth:`restore`."""
        return {"draw": self._draw.getstate(), "waiting": list(self._waiting)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._draw.setstate(state["draw"])
        self._waiting = list(state["waiting"])
