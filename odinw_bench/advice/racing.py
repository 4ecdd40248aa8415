"""Which run comes next: the one from which most AP is to be gained for its time.

1. Ways that tune nothing are tested on all folds.
2. The tuned way that is expected to be best is tuned and tested on the first fold: with its whole recipe where that
   takes less than half of the time, else with few epochs.
3. Then, again and again, the way that promises the largest gain over the best one so far for its time is tuned and
   tested: with few epochs, with all, or on another fold; or the best one, so that both are known on as many folds.
   Ways that hardly ever win come last.
4. Where nothing else promises anything, the best one is run on the folds that are left.

So there is no first comparison of all ways: with a quarter of the epochs it would take a quarter of the whole grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from odinw_bench.advice.belief import Belief, believe
from odinw_bench.advice.candidates import Candidate, Say, do, recipe_of
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget
from odinw_bench.advice.timing import Timing

LAST = 0.9
"""Share of the budget after which no way is tried any more; the rest is for the answer."""

LEAST_GAIN = 0.1
"""AP: where no way promises more, only the best is run."""

SHORT_WORTH = 0.5
"""What is learnt from a run with few epochs, in parts of what one with all teaches."""

UNTRIED = 2 / 3
"""Probability of being better from which on a way that was not tried is recommended before those that were."""

LITTLE = "too little to gain"
"""Why a way was not tried though there was time."""

Step = tuple[Candidate, bool]
"""A run of a candidate on its next fold, and whether with few epochs."""


def race(candidates: list[Candidate], labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say) -> None:
    """Try the candidates within the budget; what is known of each is noted in it."""
    for candidate in candidates:
        for number, fold in enumerate(labelled.folds):
            if candidate.tunes:
                break
            record = do(candidate, fold, settings, budget, LAST, say)
            if record is None:
                break
            candidate.full[number] = record
    timing = Timing(candidates, labelled, settings)
    few = labelled.few(settings.seed)
    gone: set[int] = set()  # what was stopped or failed is not begun again

    def seconds(step: Step) -> float:
        return timing.seconds(step[0], len(step[0].full), short=step[1])

    def is_open(step: Step) -> bool:
        candidate, short = step
        if not candidate.tunes or candidate.place in gone or len(candidate.full) == len(labelled.folds):
            return False
        if short and (candidate.records or recipe_of(candidate, settings).epochs < 2):
            return False
        return seconds(step) < budget.left(LAST)

    while (step := _next(believe(candidates, labelled), seconds, is_open, budget.left(LAST))) is not None:
        candidate, short = step
        number = len(candidate.full)
        record = do(candidate, few if short else labelled.folds[number], settings, budget, LAST, say, short=short)
        if record is None:
            gone.add(candidate.place)
        else:
            (candidate.short if short else candidate.full)[number] = record
    for one in candidates:
        if one.tunes and not one.records and not one.stopped:
            one.stopped = LITTLE if is_open((one, False)) else "no time was left for it"


def _next(
    belief: Belief, seconds: Callable[[Step], float], is_open: Callable[[Step], bool], left: float
) -> Step | None:
    """The next run; None: none promises anything, or none fits."""
    order = [one for one in belief.order() if not one.is_out]
    if not any(one.records for one in order if one.tunes):
        return _first(order, seconds, is_open, left)
    leader = next(one for one in order if one.records)
    found: list[tuple[float, Step]] = []
    for one in order:
        gain = 0.0 if one is leader else belief.gain(one, leader)
        if gain <= LEAST_GAIN:
            continue
        found.append((SHORT_WORTH * gain, (one, True)))
        # Both are to be known on as many folds: a challenger that has as many calls for the leader's next.
        if len(one.full) <= len(leader.full):
            found.append((gain, (one, False)))
        if one.records and len(leader.full) <= len(one.full):
            found.append((gain, (leader, False)))
    possible = [(gain / max(seconds(step), 1e-9), step) for gain, step in found if is_open(step)]
    best = max(possible, key=lambda pair: pair[0], default=None)
    if best is not None:
        return best[1]
    return (leader, False) if is_open((leader, False)) else None


def _first(
    order: Sequence[Candidate], seconds: Callable[[Step], float], is_open: Callable[[Step], bool], left: float
) -> Step | None:
    """The first run of a tuned way."""
    for one in order:
        if is_open((one, False)) and seconds((one, False)) < left / 2:
            return one, False
        if is_open((one, True)):
            return one, True
    return next(((one, False) for one in order if is_open((one, False))), None)


def ranked(belief: Belief) -> list[Candidate]:
    """The one to recommend first, then those with any result from good to bad; empty where nothing has a result.

    The first may be one that there was no time for, where it is probably better than all that were tried: in a small
    budget only ways that need no tuning can be tried, and these are seldom the best. One whose runs fail comes last.
    """
    order = [one for one in belief.order() if one.records or (one.tunes and one.stopped != LITTLE and not one.failed)]
    order.sort(key=lambda one: one.is_out)
    tried = [one for one in order if one.records]
    if not tried or order[0].records or belief.probability(order[0], tried[0]) < UNTRIED:
        return tried
    return [order[0], *tried]
