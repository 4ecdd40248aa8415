"""As many steps for few images as for many: ``min_steps``, and the protocol that has it."""

from __future__ import annotations

from collections import Counter

import pytest

from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.engine.schedule import DataOrder
from odinw_bench.models import MODES, UNTUNED

TUNED = [mode for mode in MODES if mode not in UNTUNED]


@pytest.mark.parametrize("images", [1, 3, 5, 7, 30, 100])
def test_few_images_are_repeated_until_there_are_enough_steps(images):
    settings = hyperparameters("mini-2", "prompt", 5)
    usual = Length.of(images, hyperparameters("mini-1", "prompt", 5))
    length = Length.of(images, settings)
    assert length.total >= 120
    assert length.epochs == usual.epochs == 8
    assert length.total == usual.total or length.total < 2 * 120 or images > 30
    if usual.total >= 120:
        assert length == usual


def test_every_image_comes_as_often_as_any_other():
    order = DataOrder(range(5), hyperparameters("mini-2", "prompt", 5), seed=3)
    steps = order.length.steps
    assert steps == 15
    seen = Counter(request.image_id for _ in range(steps) for request in order.batch())
    assert set(seen.values()) == {12}


@pytest.mark.parametrize("mode", TUNED)
def test_mini_2_differs_from_mini_1_by_the_steps_of_few_shots_alone(mode):
    for shots in (1, 3, 5, 10, "all"):
        first, second = (hyperparameters(name, mode, shots).to_json() for name in ("mini-1", "mini-2"))
        assert "min_steps" not in first
        assert second.pop("min_steps", 0) == (0 if shots == "all" else 120)
        assert first == second
