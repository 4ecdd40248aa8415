"""Which ways are tried, and how much, within a budget: runs are made up, and time passes as they say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from odinw_bench.advice import racing, timing
from odinw_bench.advice.belief import believe
from odinw_bench.advice.candidates import Candidate
from odinw_bench.advice.racing import race, ranked
from odinw_bench.advice.settings import AdviceSettings
from tests.advice.test_belief import PRIOR, labelled, record

APS = {"zero-shot": 10.0, "linear": 50.0, "lora": 60.0, "full": 62.0}
SECONDS = {"zero-shot": 1.0, "linear": 30.0, "lora": 40.0, "full": 100.0}


class Clock:
    """A budget whose time is made up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent = seconds, 0.0

    def left(self, share: float = 1.0) -> float:
        return share * self.seconds - self.spent


@pytest.fixture
def tried(monkeypatch):
    """Race within a budget; returns the candidates and what was run: mode, fold, with few epochs."""

    def within(seconds: float, aps=APS, stopped: tuple[str, ...] = (), failing: tuple[tuple[str, bool], ...] = ()):
        monkeypatch.setattr(timing, "known", lambda: PRIOR)
        monkeypatch.setattr("odinw_bench.advice.belief.known", lambda: PRIOR)
        clock, runs = Clock(seconds), []
        data = labelled()
        data.few = lambda _: data.folds[0]
        candidates = [Candidate("glip-nano", mode, place) for place, mode in enumerate(APS)]
        settings = AdviceSettings("made", shots=5)
        work = timing.Timing(candidates, data, settings)._work(candidates[-1], 0, short=False)

        def do(candidate, fold, settings, budget, share, say, *, short=False):
            assert budget.left(share) > 0
            runs.append((candidate.mode, data.folds.index(fold), short))
            took = SECONDS[candidate.mode] / (4 if short else 1)
            clock.spent += took
            if candidate.mode in stopped:
                candidate.stopped = "the time was over"
                return None
            if (candidate.mode, short) in failing:
                candidate.failed, candidate.stopped = "out of memory", "it failed: out of memory"
                return None
            ap = aps[candidate.mode] + (PRIOR.short_gain(candidate.mode) if short else 0.0)
            found = record(ap, ap if candidate.tunes else None)
            found.cost |= {"tune_seconds": took if candidate.tunes else 0.0, "test_seconds": 0.0}
            return SimpleNamespace(ap=ap, cost=found.cost | {"images_per_second": work / SECONDS["full"]})

        monkeypatch.setattr(racing, "do", do)
        race(candidates, data, settings, clock, lambda _: None)
        return candidates, runs, ranked(believe(candidates, data))

    return within


def test_with_much_time_the_best_is_run_on_all_folds_and_advised(tried):
    candidates, runs, order = tried(10_000)
    assert order[0].mode == "full"
    assert len(order[0].full) == 2
    assert {mode for mode, _, _ in runs} == set(APS)
    assert runs.count(("full", 0, False)) == 1
    assert not any(one.stopped for one in candidates)


def test_with_little_time_the_dear_way_is_tried_with_few_epochs(tried):
    _, runs, order = tried(75)
    assert ("full", 0, True) in runs
    assert ("full", 0, False) not in runs
    assert order[0].mode == "full"
    assert len(runs) >= 4  # and others, against it


def test_a_way_that_is_usually_second_is_advised_where_it_is_clearly_better(tried):
    for seconds in (100, 10_000):
        assert tried(seconds, APS | {"lora": 80.0})[2][0].mode == "lora"


def test_where_nothing_tuned_is_any_good_none_is_advised(tried):
    bad = dict.fromkeys(APS, 5.0) | {"zero-shot": 60.0}
    order = tried(10_000, bad)[2]
    assert order[0].mode == "zero-shot"


def test_a_way_that_was_stopped_is_not_begun_again(tried):
    candidates, runs, order = tried(10_000, stopped=("full",))
    assert [run for run in runs if run[0] == "full"] == [("full", 0, False)]
    assert order[0].mode == "lora"
    assert candidates[3].stopped == "the time was over"


def test_a_way_that_fails_is_not_begun_again_nor_advised(tried):
    failing = (("full", False), ("full", True))
    _, runs, order = tried(10_000, failing=failing)
    assert [mode for mode, _, _ in runs].count("full") == 1
    assert "full" not in [one.mode for one in order]
    assert order[0].mode == "lora"
    assert len(order[0].full) == 2
    assert order[-1].mode == "zero-shot"


def test_a_way_that_fails_with_its_whole_recipe_comes_last(tried):
    _, runs, order = tried(200, APS | {"full": 90.0}, failing=(("full", False),))
    assert ("full", 0, True) in runs
    assert ("full", 0, False) in runs
    assert order[-1].mode == "full"
    assert len(order) > 1


def test_ways_that_are_left_out_say_why(tried):
    candidates, _, _ = tried(40)
    assert any(one.stopped == "no time was left for it" for one in candidates if not one.records)
    assert all(one.records or one.stopped for one in candidates)


def test_with_no_time_for_any_tuning_the_way_that_is_usually_best_is_advised(tried):
    candidates, runs, order = tried(2)
    assert {mode for mode, _, _ in runs} == {"zero-shot"}
    assert [one.mode for one in order] == ["full", "zero-shot"]
    assert candidates[3].stopped == "no time was left for it"


def test_untried_ways_are_not_advised_where_none_was_tried(tried):
    assert tried(2, stopped=tuple(APS))[2] == []
