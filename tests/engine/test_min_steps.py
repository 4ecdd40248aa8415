"""As many steps for few images as for many: ``min_steps_per_epoch``, and the protocol that has it."""

from __future__ import annotations

from collections import Counter

import pytest

from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import RECORDED, hyperparameters
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


def test_epochs_scale_the_length_and_repeats_by_hand_are_exactly_those():
    total = lambda **changes: Length.of(5, hyperparameters("mini-2", "prompt", 5, changes)).total  # noqa: E731
    assert (total(), total(epochs=1), total(epochs=20)) == (120, 15, 300)
    assert total(repeats_per_epoch=4) == total(**{RECORDED["repeats_per_epoch"]: 4}) == 8 * 5 * 4 // 4
    assert total(repeats_per_epoch=1, min_steps_per_epoch=15) == 120
    settings = hyperparameters("mini-2", "prompt", 5)
    assert hyperparameters("mini-2", "prompt", 5, settings.to_json()) == settings
    fixed = hyperparameters("mini-2", "prompt", 5, {"repeats_per_epoch": 1})
    assert hyperparameters("mini-2", "prompt", 5, fixed.to_json()) == fixed


@pytest.mark.parametrize("mode", TUNED)
def test_mini_2_is_mini_1_with_enough_steps_and_rates_that_suit_them(mode):
    for shots in (1, 3, 5, 10, "all"):
        first, second = (hyperparameters(name, mode, shots).to_json() for name in ("mini-1", "mini-2"))
        assert "min_steps_per_epoch" not in first
        assert second.pop("min_steps_per_epoch") == 15  # also with all images: there are tasks with 30
        rates = ("lr", "language_lr", "offset_factor", "fresh_factor")
        assert {name: value for name, value in first.items() if name not in rates} == {
            name: value for name, value in second.items() if name not in rates
        }
