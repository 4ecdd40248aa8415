"""How sure a number is: spread over seeds, and differences between two models on the same images."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.metrics.coco import Predictions, check_pair, match


@dataclass(frozen=True)
class Summary:
    """A metric over repeated runs.

    Attributes:
        count: number of runs.
        mean: their mean.
        sample_std: standard deviation with n - 1 (GLIP's Tables 11 to 13); None for a single run.
        population_std: standard deviation with n (GLIP's Tables 15 and 16).
        low: lower end of the confidence interval of the mean; None for a single run.
        high: its upper end.
    """

    count: int
    mean: float
    sample_std: float | None
    population_std: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """AP of model A minus AP of model B, in percent.

    Attributes:
        difference: on the images as they are.
        low: lower end of the bootstrap interval.
        high: its upper end.
        probability_better: share of the resamples in which A is better; ties count half.
        samples: number of resamples.
    """

    difference: float
    low: float
    high: float
    probability_better: float
    samples: int


PERCENT = (0.0, 100.0)
"""The range of an AP."""


def summarize(
    values: Sequence[float], *, confidence: float = 0.95, limits: tuple[float, float] | None = None
) -> Summary:
    """Mean, spread and a confidence interval of the mean: Student's t, within limits on the logit scale.

    With limits the interval is logit(p) ± t s / (p (1 - p)), taken back to the values' scale, where p is the mean as a
    share of the range and s its standard error likewise (the delta method). It never leaves the limits; where the
    spread is small it is Student's.

    Args:
        values: one number a run, at least one.
        confidence: of the interval, between 0 and 1.
        limits: least and greatest value there can be, such as :data:`PERCENT`; None: any number.

    Raises:
        ValueError: there is no value, or ``confidence`` is not between 0 and 1.
    """
    if not values:
        raise ValueError("at least one value is needed")
    mean, count = statistics.fmean(values), len(values)
    # The module's own deviations compute in fractions, which takes a report of many runs seconds.
    squares = 0.0 if min(values) == max(values) else math.fsum((value - mean) ** 2 for value in values)
    population_std = math.sqrt(squares / count)
    if count == 1:
        return Summary(1, mean, None, population_std, None, None)
    sample_std = math.sqrt(squares / (count - 1))
    half = t_quantile((1 + confidence) / 2, count - 1) * sample_std / math.sqrt(count)
    low, high = (mean - half, mean + half) if limits is None else _within(mean, half, *limits)
    return Summary(count, mean, sample_std, population_std, low, high)


def _within(mean: float, half: float, least: float, most: float) -> tuple[float, float]:
    """Mean minus and plus a half width, on the logit scale of a range."""
    share = (mean - least) / (most - least)
    if half == 0 or not 0 < share < 1:  # at a limit all values are equal
        return mean, mean
    centre = math.log(share) - math.log1p(-share)
    width = half / (most - least) / (share * (1 - share))
    low, high = ((1 + math.tanh((centre + step) / 2)) / 2 for step in (-width, width))
    return least + (most - least) * low, least + (most - least) * high


@functools.lru_cache(maxsize=1024)  # a report asks thousands of times for a few
def t_quantile(probability: float, degrees: int) -> float:
    """The value that Student's t stays below with a probability.

    Args:
        probability: from 0.5 (included) to 1 (excluded).
        degrees: degrees of freedom, at least 1.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise ValueError(f"0.5 <= probability < 1 and degrees >= 1 are needed, not {probability} and {degrees}")
    low, high = 0.0, math.pi / 2  # of the angle: t = sqrt(degrees) tan(angle)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, degrees) < 2 * probability - 1 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def paired_bootstrap(
    annotations: Mapping[str, Any],
    predictions_a: Predictions,
    predictions_b: Predictions,
    samples: int = 1000,
    seed: int = 0,
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Is model A better than model B? Images are drawn again with replacement, for both models the same.

    Detections are matched to the ground truth once; a resample only weighs the images. Each resample's AP is the
    reference evaluator's on those images (an image drawn n times counts n times), but for the order of detections
    of equal score within one image.

    Args:
        annotations: COCO annotations.
        predictions_a: COCO results of A.
        predictions_b: COCO results of B.
        samples: number of resamples.
        seed: of the resampling.
        confidence: of the interval (percentiles of the resampled differences).

    Raises:
        InputError: annotations or predictions are unusable, there is no ground truth, or ``samples`` is below 1.
    """
    whole, aps = _resampled(annotations, [predictions_a, predictions_b], samples, seed)
    drawn = aps[:, 0] - aps[:, 1]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    better = float(np.mean((drawn > 0) + 0.5 * (drawn == 0)))
    return Comparison(100 * (whole[0] - whole[1]), 100 * float(low), 100 * float(high), better, len(drawn))


def resampled_aps(
    annotations: Mapping[str, Any], predictions: Sequence[Predictions], samples: int = 1000, seed: int = 0
) -> tuple[list[float], NDArray[np.float64]]:
    """AP of several models on the images as they are, and on images drawn again, for all models the same.

    Args:
        annotations: COCO annotations.
        predictions: COCO results of each model.
        samples: number of resamples.
        seed: of the resampling.

    Returns:
        AP in percent of each model, and ``[resamples, models]``; resamples without any ground truth are left out.

    Raises:
        InputError: annotations or predictions are unusable, there is no ground truth, or ``samples`` is below 1.
    """
    whole, drawn = _resampled(annotations, predictions, samples, seed)
    return [100 * one for one in whole], 100 * drawn


def _resampled(
    annotations: Mapping[str, Any], predictions: Sequence[Predictions], samples: int, seed: int
) -> tuple[list[float], NDArray[np.float64]]:
    """See :func:`resampled_aps`; from 0 to 1."""
    if samples < 1:
        raise InputError(f"samples must be at least 1, not {samples}")
    tables = [_match_tables(annotations, one) for one in predictions]
    count = len(annotations["images"])
    everything = np.ones(count, dtype=np.int64)
    whole = [_average_precision(table, everything) for table in tables]
    if any(map(math.isnan, whole)):
        raise InputError("the annotations hold no box to find: models cannot be compared on them")
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        weights = np.bincount(rng.integers(count, size=count), minlength=count)
        aps = [_average_precision(table, weights) for table in tables]
        if not math.isnan(aps[0]):  # a resample may hold no ground truth at all
            drawn.append(aps)
    if not drawn:
        raise InputError("no resample held a box to find: there is too little ground truth to compare models")
    return whole, np.array(drawn)


@dataclass(frozen=True)
class _ClassMatches:
    """All detections of one class, best first, at the T IoU thresholds."""

    image: NDArray[np.int64]  # (D,) position of the detection's image
    hit: NDArray[np.bool_]  # (T, D) matched to a box that counts
    miss: NDArray[np.bool_]  # (T, D) matched to nothing; neither: matched to a crowd
    boxes: NDArray[np.int64]  # (images,) boxes to find


def _match_tables(annotations: Mapping[str, Any], predictions: Predictions) -> list[_ClassMatches]:
    evaluator = match(*check_pair(annotations, predictions))
    parameters = evaluator.params
    images, areas, limit = len(parameters.imgIds), len(parameters.areaRng), parameters.maxDets[-1]
    tables = []
    for k in range(len(parameters.catIds)):
        start = k * areas * images  # the first area range is "all"
        entries = [(i, e) for i, e in enumerate(evaluator.evalImgs[start : start + images]) if e is not None]
        boxes = np.zeros(images, dtype=np.int64)
        for i, entry in entries:
            boxes[i] = np.count_nonzero(entry["gtIgnore"] == 0)
        if not boxes.any():
            continue
        scores = np.concatenate([entry["dtScores"][:limit] for _, entry in entries])
        matched = np.concatenate([entry["dtMatches"][:, :limit] for _, entry in entries], axis=1) > 0
        ignored = np.concatenate([entry["dtIgnore"][:, :limit] for _, entry in entries], axis=1).astype(bool)
        image = np.concatenate([np.full(len(entry["dtScores"][:limit]), i) for i, entry in entries])
        order = np.argsort(-scores, kind="mergesort")
        hit, miss = (matched & ~ignored)[:, order], (~matched & ~ignored)[:, order]
        tables.append(_ClassMatches(image[order].astype(np.int64), hit, miss, boxes))
    return tables


def _average_precision(tables: Sequence[_ClassMatches], weights: NDArray[np.int64]) -> float:
    """COCO AP (0 to 1) with each image counted ``weights`` times; NaN where there is nothing to find."""
    recalls = np.linspace(0.0, 1.0, 101)
    values = []
    for table in tables:
        total = int(table.boxes @ weights)
        if total == 0:
            continue
        counts = weights[table.image]
        drawn = counts > 0
        counts = counts[drawn]
        hits = np.cumsum(table.hit[:, drawn] * counts, axis=1)  # (T, D)
        misses = np.cumsum(table.miss[:, drawn] * counts, axis=1)
        recall = hits / total
        precision = hits / (hits + misses + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for recall_row, precision_row in zip(recall, precision, strict=True):
            reached = np.searchsorted(recall_row, recalls, side="left")
            reached = reached[reached < len(recall_row)]
            values.append(float(precision_row[reached].sum()) / len(recalls))
    return float(np.mean(values)) if values else math.nan


def _t_within(angle: float, degrees: int) -> float:
    """P(|t| <= sqrt(degrees) tan(angle)): the finite sums for whole degrees (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = total = cosine if odd else 1.0
    if degrees == 1:
        total = 0.0
    for k in range(2 if odd else 1, degrees - 1, 2):
        term *= k / (k + 1) * cosine**2
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
