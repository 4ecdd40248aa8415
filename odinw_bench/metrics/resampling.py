"""Intervals of shares that are counted image by image: a bootstrap over the images (Efron & Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odinw_bench.metrics.stats import Comparison

SAMPLES = 1000
Counts = Mapping[Any, tuple[int, int]]
"""Of each image: how many of its phrases were found, of how many."""


def share_interval(
    counts: Counts, *, samples: int = SAMPLES, seed: int = 0, confidence: float = 0.95
) -> dict[str, Any]:
    """The interval of the share found, with images drawn again.

    Args:
        counts: by image.
        samples: number of resamples.
        seed: of the resampling.
        confidence: of the interval, between 0 and 1.

    Returns:
        ``low`` and ``high`` in percent; None without anything to find.
    """
    shares = _shares(counts, samples, seed)
    if shares is None:
        return {"low": None, "high": None}
    low, high = np.quantile(shares, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"low": round(float(low), 10), "high": round(float(high), 10)}


def compare_shares(first: Counts, second: Counts, samples: int, seed: int, confidence: float = 0.95) -> Comparison:
    """The share found by one model minus that by another, on the same resampled images.

    Args:
        first: by image.
        second: of the same images.
        samples: number of resamples.
        seed: of the resampling.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: there is nothing to find, or the images are others.
    """
    if set(first) != set(second):
        raise ValueError("the two models were tested on different images")
    second = {key: second[key] for key in first}  # one order for both: the same images are drawn
    drawn = _shares(first, samples, seed), _shares(second, samples, seed)
    if drawn[0] is None or drawn[1] is None:
        raise ValueError("there is nothing to find in these images")
    differences = drawn[0] - drawn[1]
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    better = float((differences > 0).mean() + (differences == 0).mean() / 2)
    return Comparison(_share(first) - _share(second), float(low), float(high), better, samples)


def _share(counts: Counts) -> float:
    return 100 * sum(hits for hits, _ in counts.values()) / sum(total for _, total in counts.values())


def _shares(counts: Counts, samples: int, seed: int) -> NDArray[np.float64] | None:
    """``[samples]``: the share of each resample in percent; one without anything to find is left out."""
    table = np.array([list(one) for one in counts.values()], dtype=np.float64).reshape(-1, 2)
    if not table[:, 1].sum():
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=samples) @ table
    drawn = drawn[drawn[:, 1] > 0]
    shares: NDArray[np.float64] = 100 * drawn[:, 0] / drawn[:, 1]
    return shares
