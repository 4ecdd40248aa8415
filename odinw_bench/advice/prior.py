"""What is known of the ways before any is tried on the user's images: how they differed on other tasks.

``prior.json`` is made by :mod:`odinw_bench.advice.prior_measured`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

REFERENCE = "full"
"""Differences are from this way."""


@dataclass(frozen=True)
class Prior:
    """How ways that tune differ; what was not measured of a mode is taken for average, and for as uncertain as any.

    Attributes:
        gains: by mode, AP in percent minus that of :data:`REFERENCE`, mean over the tasks.
        spread: by mode, standard deviation of its AP on a further task, so far as it is not common to all modes, in AP.
        noise: standard deviation of the AP of one way on one image, so far as it is not common to all ways; on n images
            it is ``noise / sqrt(n)``.
        short: by mode, AP after the first part of the epochs (see :data:`odinw_bench.advice.candidates.SHORT`) minus
            that at the end, mean over the tasks.
        short_spread: standard deviation of such a difference on a further task, in AP.
        seconds: by mode, time of a step of tuning in parts of that of :data:`REFERENCE`.
        tasks: that the numbers are from.
        source: model, protocol, shots and splits they are from.
    """

    gains: Mapping[str, float]
    spread: Mapping[str, float]
    noise: float
    short: Mapping[str, float]
    short_spread: float
    seconds: Mapping[str, float]
    tasks: Sequence[str]
    source: str

    @property
    def model(self) -> str:
        """The detector that the numbers are from."""
        return self.source.partition(",")[0]

    def gain(self, mode: str) -> float:
        """Of a mode, in AP."""
        return self.gains.get(mode, statistics.fmean(self.gains.values()))

    def deviation(self, mode: str) -> float:
        """The spread of a mode, in AP."""
        return self.spread.get(mode, max(self.spread.values()))

    def short_gain(self, mode: str) -> float:
        """Of a mode with few epochs, in AP."""
        return self.short.get(mode, statistics.fmean(self.short.values()))

    def share(self, mode: str) -> float:
        """Time of a mode's step in parts of that of :data:`REFERENCE`."""
        return self.seconds.get(mode, 1.0)


_INSTEAD: ContextVar[Prior | None] = ContextVar("instead", default=None)


def known() -> Prior:
    """What ships with the program, or what :func:`instead` says."""
    return _INSTEAD.get() or _shipped()


@contextmanager
def instead(prior: Prior | None) -> Iterator[None]:
    """Within this context another prior is known; None: the one that ships with the program."""
    token = _INSTEAD.set(prior)
    try:
        yield
    finally:
        _INSTEAD.reset(token)


@lru_cache(maxsize=1)
def _shipped() -> Prior:
    text = (resources.files(__package__) / "prior.json").read_text(encoding="utf-8")
    return Prior(**json.loads(text))
