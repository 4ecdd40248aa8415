from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from glip_core.errors import InputError
from odinw_bench.metrics.coco import evaluate
from odinw_bench.metrics.stats import (
    PERCENT,
    _average_precision,
    _match_tables,
    paired_bootstrap,
    summarize,
    t_quantile,
)
from tests.metrics.test_coco import coco, noisy, perfect


@pytest.mark.parametrize(
    ("probability", "degrees", "value"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 3, 3.18245),
        (0.95, 5, 2.01505),
        (0.975, 10, 2.22814),
        (0.995, 29, 2.75639),
        (0.975, 1000, 1.96234),
        (0.5, 4, 0.0),
    ],
)
def test_t_quantiles_of_the_printed_tables(probability: float, degrees: int, value: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(value, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(("probability", "degrees"), [(1.0, 3), (0.4, 3), (0.9, 0)])
def test_t_quantile_refuses(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        t_quantile(probability, degrees)


def test_summary_over_seeds() -> None:
    summary = summarize([50.0, 52.0, 51.0])
    assert (summary.count, summary.mean, summary.sample_std) == (3, 51.0, 1.0)
    assert summary.population_std == pytest.approx(math.sqrt(2 / 3))
    assert summary.high is not None
    assert summary.high - summary.mean == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)
    assert summary.low == pytest.approx(2 * summary.mean - summary.high)


@pytest.mark.parametrize(
    "values", [[0.0, 30.0, 1.0], [99.0, 60.0], [0.0, 100.0], [0.0, 0.0], [100.0, 100.0], [5e-9, 0.0]]
)
def test_the_interval_of_an_ap_is_an_ap(values: list[float]) -> None:
    summary = summarize(values, limits=PERCENT)
    assert summary.low is not None
    assert summary.high is not None
    assert 0 <= summary.low <= summary.mean <= summary.high <= 100


def test_a_narrow_interval_of_an_ap_is_student_s() -> None:
    plain, logit = summarize([50.0, 52.0, 51.0]), summarize([50.0, 52.0, 51.0], limits=PERCENT)
    assert (logit.low, logit.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    assert (logit.mean, logit.sample_std) == (plain.mean, plain.sample_std)


def test_summary_of_one_run_claims_no_spread() -> None:
    summary = summarize([40.0])
    assert (summary.mean, summary.sample_std, summary.population_std) == (40.0, None, 0.0)
    assert summary.low is summary.high is None
    with pytest.raises(ValueError, match="at least one"):
        summarize([])


def resampled(
    annotations: dict[str, Any], predictions: list[dict[str, Any]], weights: list[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set in which each image stands as often as its weight says, under new ids."""
    copies = {i: [100 * i + copy for copy in range(weight)] for i, weight in enumerate(weights)}

    def spread(entries: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        return [{**entry, key: new} for entry in entries for new in copies[entry[key]]]

    return {
        **annotations,
        "images": spread(annotations["images"], "id"),
        "annotations": spread(annotations["annotations"], "image_id"),
    }, spread(predictions, "image_id")


@pytest.mark.parametrize("seed", range(5))
def test_weighted_ap_is_the_reference_ap_of_the_resampled_images(seed: int) -> None:
    annotations, predictions = noisy(seed)
    rng = np.random.default_rng(seed)
    weights = np.bincount(rng.integers(30, size=30), minlength=30)
    expected = evaluate(*resampled(annotations, predictions, weights.tolist()))["AP"]
    tables = _match_tables(annotations, predictions)
    assert 100 * _average_precision(tables, weights) == pytest.approx(expected, abs=1e-8)
    assert 100 * _average_precision(tables, np.ones(30, dtype=np.int64)) == pytest.approx(
        evaluate(annotations, predictions)["AP"], abs=1e-8
    )


def test_bootstrap_of_a_better_model() -> None:
    annotations, predictions = noisy(0)
    worse = [{**entry, "bbox": [entry["bbox"][0] + 8, *entry["bbox"][1:]]} for entry in predictions]
    comparison = paired_bootstrap(annotations, predictions, worse, samples=200)
    assert comparison.difference == pytest.approx(
        evaluate(annotations, predictions)["AP"] - evaluate(annotations, worse)["AP"], abs=1e-8
    )
    assert 0 < comparison.low < comparison.difference < comparison.high
    assert comparison.probability_better > 0.99
    assert comparison == paired_bootstrap(annotations, predictions, worse, samples=200)
    assert comparison != paired_bootstrap(annotations, predictions, worse, samples=200, seed=1)
    back = paired_bootstrap(annotations, worse, predictions, samples=200)
    assert back.low == pytest.approx(-comparison.high)
    assert back.probability_better == pytest.approx(1 - comparison.probability_better)


def test_bootstrap_of_equal_models_is_a_tie() -> None:
    annotations, predictions = noisy(0)
    comparison = paired_bootstrap(annotations, predictions, predictions, samples=20)
    assert (comparison.difference, comparison.low, comparison.high, comparison.probability_better) == (0, 0, 0, 0.5)


def test_bootstrap_against_nothing_found() -> None:
    annotations = coco()
    comparison = paired_bootstrap(annotations, perfect(annotations), [], samples=20)
    assert comparison.difference == pytest.approx(100)
    assert comparison.probability_better == 1


def test_bootstrap_refuses() -> None:
    with pytest.raises(InputError, match="no box to find"):
        paired_bootstrap({**coco(), "annotations": []}, [], [])
    with pytest.raises(InputError, match="samples"):
        paired_bootstrap(coco(), [], [], samples=0)
