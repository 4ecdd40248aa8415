"""Timings with pytest-benchmark: ``pytest tests/benchmarks --benchmark-only``; nothing here asserts a time."""

from __future__ import annotations

import pytest

from tests.benchmarks.cases import deformable, detect, detect_plainly
from tests.benchmarks.tuning import tuner

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SLOW = {"rounds": 2, "iterations": 1, "warmup_rounds": 1}


@pytest.mark.benchmark(group="deformable 3x3, 256 channels, 100x136, forward")
@pytest.mark.parametrize("how", ["torchvision", "ours"])
def test_deformable_forward(benchmark, how):
    benchmark.pedantic(deformable(plain=how == "torchvision", backward=False), **SLOW)


@pytest.mark.benchmark(group="deformable 3x3, 256 channels, 100x136, forward and backward")
@pytest.mark.parametrize("how", ["torchvision", "ours"])
def test_deformable_backward(benchmark, how):
    benchmark.pedantic(deformable(plain=how == "torchvision", backward=True), **SLOW)


@pytest.mark.benchmark(group="one 800x1088 image")
@pytest.mark.parametrize("model", ["glip-t", "glip-t-a", "dyhead-t"])
@pytest.mark.parametrize("how", ["plain", "ours", "ours, bf16"])
def test_detect(benchmark, model, how):
    case = detect_plainly(model) if how == "plain" else detect(model, precision="bf16" if "bf16" in how else "fp32")
    benchmark.pedantic(case, **SLOW)


@pytest.mark.benchmark(group="tuning GLIP-T, a step on one full-size image")
@pytest.mark.parametrize("mode", ["prompt", "linear"])
@pytest.mark.parametrize("how", ["recomputed", "cached"])
def test_tuning(benchmark, mode, how):
    benchmark.pedantic(tuner("glip-t", mode).step(cached=how == "cached"), **SLOW)
