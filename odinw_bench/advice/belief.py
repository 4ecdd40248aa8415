"""How good each way probably is: what was measured on the labelled images, together with what is known of the ways.

The AP of a way on some images is taken for the sum of how good the way is, how easy the images are for all ways alike,
and noise; all of them normally distributed. How good ways are is known beforehand to the extent that
:mod:`odinw_bench.advice.prior` says. So ten images do not outweigh what other tasks have shown, and some hundred do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odinw_bench.advice.candidates import Candidate
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.prior import Prior, known

LEVEL = 50.0, 30.0
"""AP of a model tuned on unknown images: mean and standard deviation."""

UNTUNED_GAIN = -30.0, 30.0
"""AP of a way that tunes nothing minus that of a tuned one: mean and standard deviation."""

IMAGES = 20.0
"""AP by which sets of images differ for all ways alike, standard deviation."""

ELSEWHERE = 2.0
"""The spreads are so many times those of :class:`Prior` for models other than the one that it was measured with."""


@dataclass(frozen=True)
class Belief:
    """What is known of some ways: normal distributions of their AP in percent.

    Attributes:
        candidates: the ways.
        mean: ``[ways]``.
        covariance: ``[ways, ways]``.
    """

    candidates: Sequence[Candidate]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def expected(self, candidate: Candidate) -> tuple[float, float]:
        """AP of a way: mean and standard deviation."""
        place = self._place(candidate)
        return float(self.mean[place]), math.sqrt(max(float(self.covariance[place, place]), 0.0))

    def difference(self, first: Candidate, second: Candidate) -> tuple[float, float]:
        """Of the AP of two ways: mean and standard deviation."""
        a, b = self._place(first), self._place(second)
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return float(self.mean[a] - self.mean[b]), math.sqrt(max(float(variance), 0.0))

    def probability(self, first: Candidate, second: Candidate) -> float:
        """That the first is the better one."""
        mean, deviation = self.difference(first, second)
        return _below(mean / deviation) if deviation else float(mean > 0) or 0.5 * (mean == 0)

    def gain(self, challenger: Candidate, leader: Candidate) -> float:
        """AP that could be gained over the leader: the expected value of the difference where it is positive."""
        mean, deviation = self.difference(challenger, leader)
        if not deviation:
            return max(mean, 0.0)
        ratio = mean / deviation
        density = math.exp(-0.5 * ratio * ratio) / math.sqrt(2 * math.pi)
        return mean * _below(ratio) + deviation * density

    def order(self) -> list[Candidate]:
        """The best first; among equals the one that needs no tuning, and then the cheaper one."""
        ranked = sorted(
            range(len(self.candidates)),
            key=lambda one: (-self.mean[one], self.candidates[one].tunes, self.candidates[one].place),
        )
        return [self.candidates[one] for one in ranked]

    def _place(self, candidate: Candidate) -> int:
        return next(place for place, one in enumerate(self.candidates) if one is candidate)


def believe(candidates: Sequence[Candidate], labelled: Labelled, prior: Prior | None = None) -> Belief:
    """Put together what was measured and what is known.

    Args:
        candidates: with the records that there are.
        labelled: the images.
        prior: what is known beforehand; None: what ships with the program.
    """
    prior = prior or known()
    level, deviation = LEVEL
    mean = np.array([level + (prior.gain(one.mode) if one.tunes else UNTUNED_GAIN[0]) for one in candidates])
    models = [one.model for one in candidates]
    same = np.array([[float(one == other) for other in models] for one in models])
    own = np.array(
        [_times(one, prior) * prior.deviation(one.mode) if one.tunes else UNTUNED_GAIN[1] for one in candidates]
    )
    covariance = deviation**2 * same + np.diag(own**2)
    measured = [found for place, one in enumerate(candidates) for found in _measured(one, place, labelled, prior)]
    if not measured:
        return Belief(candidates, mean, covariance)
    ways = np.array([one.way for one in measured])
    aps = np.array([one.ap for one in measured])
    noise = np.array([one.deviation for one in measured])
    together = np.array([[float(one.images == other.images) for other in measured] for one in measured])
    cross = covariance[:, ways]  # [ways, measurements]
    total = covariance[np.ix_(ways, ways)] + IMAGES**2 * together + np.diag(noise**2)
    weights = np.linalg.solve(total, cross.T).T
    return Belief(candidates, mean + weights @ (aps - mean[ways]), covariance - weights @ cross.T)


@dataclass(frozen=True)
class _Measured:
    """One AP.

    Attributes:
        way: its place among the candidates.
        ap: in percent, with few epochs what all would probably bring.
        images: that it was measured on.
        deviation: of its noise.
    """

    way: int
    ap: float
    images: frozenset[int]
    deviation: float


def _measured(candidate: Candidate, place: int, labelled: Labelled, prior: Prior) -> list[_Measured]:
    """The AP on tested images, and of tuned ways that on the images that the epoch was selected on.

    The latter is a little too high, for all tuned ways alike, and doubles the images that ways are compared on.
    """
    found = []
    short = candidate.tunes and not candidate.full
    less = prior.short_gain(candidate.mode) if short else 0.0
    extra = _times(candidate, prior) * prior.short_spread if short else 0.0
    for number, record in candidate.records.items():
        fold = labelled.folds[number]
        values = [(fold.tested, record.ap)]
        if candidate.tunes and fold.selected:
            values.append((fold.selected, record.cost.get("validation_AP")))
        for images, ap in values:
            if ap is not None:
                deviation = math.hypot(prior.noise / math.sqrt(len(images)), extra)
                found.append(_Measured(place, float(ap) - less, frozenset(images), deviation))
    return found


def _times(candidate: Candidate, prior: Prior) -> float:
    """How much wider the spreads are."""
    return 1.0 if prior.model == candidate.model else ELSEWHERE


def _below(value: float) -> float:
    """Share of the standard normal distribution below a value."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
