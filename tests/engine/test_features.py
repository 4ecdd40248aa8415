"""The cache of frozen features: what it keeps and what it forgets."""

from __future__ import annotations

import torch

from odinw_bench.engine.features import FeatureCache
from odinw_bench.models.inputs import FrozenFeatures


def features(number: int) -> FrozenFeatures:
    """1000 bytes."""
    return FrozenFeatures((torch.full((1, 1, 10, 25), float(number)),), None, (10, 25), (10, 25))


def fill(cache: FeatureCache, keys) -> list[float]:
    return [float(cache.get(key, lambda key=key: features(key)).levels[0].mean()) for key in keys]


def test_the_least_recently_used_goes_first():
    cache = FeatureCache(3000)
    assert fill(cache, [1, 2, 3, 1, 4]) == [1, 2, 3, 1, 4]
    assert (cache.hits, cache.misses, cache.held) == (1, 4, 3000)
    fill(cache, [1, 3, 4])
    assert (cache.hits, cache.misses) == (4, 4)  # 2 had gone
    fill(cache, [2])
    assert cache.misses == 5


def test_what_is_larger_than_the_budget_is_not_kept_and_drives_out_nothing():
    cache = FeatureCache(1500)
    fill(cache, [1])
    large = FrozenFeatures((torch.zeros(1, 1, 100, 100),), None, (100, 100), (100, 100))
    assert cache.get("large", lambda: large) is large
    assert cache.held == 1000
    fill(cache, [1])
    assert cache.hits == 1


def test_a_budget_of_nothing():
    cache = FeatureCache(0)
    assert fill(cache, [1, 1]) == [1, 1]
    assert (cache.hits, cache.held) == (0, 0)
