"""What is believed of the ways: before anything is measured, and after."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from odinw_bench.advice.belief import believe
from odinw_bench.advice.candidates import Candidate
from odinw_bench.advice.prior import Prior, known
from odinw_bench.advice.settings import DEFAULT_MODES
from odinw_bench.models import UNTUNED

PRIOR = Prior(
    gains={"full": 0.0, "lora": -2.0, "linear": -8.0},
    spread={"full": 4.0, "lora": 4.0, "linear": 4.0},
    noise=10.0,
    short={"full": -3.0, "lora": -10.0, "linear": -6.0},
    short_spread=3.0,
    seconds={"full": 1.0, "lora": 0.4, "linear": 0.3},
    tasks=["one", "other"],
    source="glip-nano, made",
)


def labelled(images: int = 10) -> SimpleNamespace:
    """Two folds, each of whose images the other selects on."""
    first, second = tuple(range(images)), tuple(range(images, 2 * images))
    fold = SimpleNamespace(tested=first, selected=second, trained=(99,))
    return SimpleNamespace(folds=[fold, SimpleNamespace(tested=second, selected=first, trained=(99,))])


def record(ap: float | None, validation: float | None = None) -> SimpleNamespace:
    return SimpleNamespace(ap=ap, cost={"validation_AP": validation})


def ways(*modes: str, model: str = "glip-nano") -> list[Candidate]:
    return [Candidate(model, mode, place) for place, mode in enumerate(modes)]


def modes(found) -> list[str]:
    return [one.mode for one in found.order()]


def test_before_anything_is_measured_the_order_is_that_of_other_tasks():
    found = believe(ways("zero-shot", "linear", "lora", "full"), labelled(), PRIOR)
    assert modes(found) == ["full", "lora", "linear", "zero-shot"]
    linear, lora, full = found.candidates[1:]
    assert found.difference(full, lora) == (pytest.approx(2.0), pytest.approx(4.0 * 2**0.5))
    assert 0.5 < found.probability(full, lora) < found.probability(full, linear) < 1
    assert found.probability(full, lora) + found.probability(lora, full) == pytest.approx(1)
    assert 0 < found.gain(linear, full) < found.gain(lora, full)


def test_ten_images_do_not_outweigh_other_tasks_and_many_do():
    for images, expected in ((10, "full"), (1000, "linear")):
        candidates = ways("linear", "full")
        candidates[0].full[0], candidates[1].full[0] = record(62.0), record(59.0)
        assert modes(believe(candidates, labelled(images), PRIOR))[0] == expected


def test_a_clear_difference_counts_at_once():
    candidates = ways("linear", "full")
    candidates[0].full[0], candidates[1].full[0] = record(60.0, 62.0), record(30.0, 29.0)
    found = believe(candidates, labelled(), PRIOR)
    assert modes(found) == ["linear", "full"]
    assert found.probability(*candidates) > 0.95


def test_that_images_are_easy_is_not_held_for_a_merit():
    """Full tuning was seen on hard images alone, where the others are as far down."""
    candidates = ways("lora", "full", "zero-shot")
    lora, full, plain = candidates
    plain.full = {0: record(50.0), 1: record(10.0)}
    lora.full, full.full = {0: record(80.0)}, {1: record(42.0)}
    found = believe(candidates, labelled(200), PRIOR)
    assert modes(found) == ["full", "lora", "zero-shot"]


def test_few_epochs_count_for_what_all_would_bring_but_count_less():
    candidates = ways("lora", "full")
    lora, full = candidates
    lora.short[0], full.full[0] = record(55.0), record(60.0)  # lora gains 10 AP in the other epochs
    short = believe(candidates, labelled(100), PRIOR)
    assert modes(short) == ["lora", "full"]
    lora.full[0] = record(65.0)
    assert believe(candidates, labelled(100), PRIOR).difference(lora, full)[1] < short.difference(lora, full)[1]


def test_what_holds_nothing_to_find_says_nothing():
    candidates = ways("lora", "full")
    candidates[0].full[0] = record(None)
    assert modes(believe(candidates, labelled(), PRIOR)) == ["full", "lora"]


def test_of_other_models_less_is_known():
    own = believe(ways("lora", "full"), labelled(), PRIOR)
    other = believe(ways("lora", "full", model="glip-t"), labelled(), PRIOR)
    assert other.difference(*other.candidates)[1] > own.difference(*own.candidates)[1]
    two = [*ways("full"), *ways("full", model="glip-t")]
    assert believe(two, labelled(), PRIOR).difference(*two)[1] > 20  # how models differ is not known at all


def test_what_ships_with_the_program_is_of_all_default_ways():
    prior = known()
    tuned = {mode for mode in DEFAULT_MODES if mode not in UNTUNED}
    assert set(prior.gains) == set(prior.spread) == set(prior.short) == set(prior.seconds) == tuned
    assert len(prior.tasks) >= 2
    assert all(spread > 0 for spread in prior.spread.values())
    assert prior.noise > 0
    assert prior.gain("dora") == pytest.approx(sum(prior.gains.values()) / len(tuned))
