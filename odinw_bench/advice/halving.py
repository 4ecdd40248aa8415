"""Successive halving (Jamieson & Talwalkar 2016): all ways are tried a little, the better ones more, the best in full.

1. Ways that tune nothing are tested on all folds. The others are tuned on the first fold for a part of their epochs,
   on some of its images.
2. The better third of these, at least three, is tuned on the first fold for all of its epochs.
3. The best two of these are tuned and tested on all other folds.

Each step has a share of the budget; what is not done when it ends is left out, and said so.
"""

from __future__ import annotations

import math

from odinw_bench.advice.candidates import SHORT, Candidate, Say, ap_on, do
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget

STEPS = (0.4, 0.7, 0.85)
"""Shares of the budget at which the steps end; the rest is for the learning curve."""

KEPT, LEAST, FINAL = 3, 3, 2


def halve(candidates: list[Candidate], labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say) -> None:
    """Try the candidates within the budget; what is known of each is noted in it."""
    first = labelled.folds[0]
    for candidate in candidates:
        if candidate.tunes:
            _first(candidate, labelled, settings, budget, STEPS[0], say)
            continue
        for number, fold in enumerate(labelled.folds):
            record = do(candidate, fold, settings, budget, STEPS[0], say)
            if record is None:
                break
            candidate.full[number] = record
    tuned = sorted((one for one in candidates if one.short), key=lambda one: -(one.short[0].ap or 0.0))
    longer = SHORT * len(first.trained) / len(labelled.few(settings.seed).trained)
    for candidate in tuned[: max(LEAST, math.ceil(len(tuned) / KEPT))]:
        if _fits(candidate, longer * candidate.seconds, budget, STEPS[1]):
            record = do(candidate, first, settings, budget, STEPS[1], say)
            if record is not None:
                candidate.full[0] = record
    best = sorted((one for one in tuned if one.full), key=lambda one: -(one.full[0].ap or 0.0))
    for candidate in best[:FINAL]:
        for number, fold in enumerate(labelled.folds[1:], start=1):
            cost = candidate.full[0].cost
            if not _fits(candidate, cost["tune_seconds"] + cost["test_seconds"], budget, STEPS[2]):
                break
            record = do(candidate, fold, settings, budget, STEPS[2], say)
            if record is None:
                break
            candidate.full[number] = record
    if not best:  # what is left is no time for anything in full: at least more ways are tried
        for candidate in candidates:
            if candidate.tunes and not candidate.short:
                _first(candidate, labelled, settings, budget, STEPS[2], say)


def _first(
    candidate: Candidate, labelled: Labelled, settings: AdviceSettings, budget: Budget, share: float, say: Say
) -> None:
    if _fits(candidate, 0.0, budget, share):
        record = do(candidate, labelled.few(settings.seed), settings, budget, share, say, short=True)
        if record is not None:
            candidate.short[0] = record


def _fits(candidate: Candidate, seconds: float, budget: Budget, share: float) -> bool:
    """Whether a run may end in time."""
    if budget.left(share) > seconds:
        return True
    candidate.stopped = "no time was left for it"
    return False


def ranked(candidates: list[Candidate], labelled: Labelled) -> list[Candidate]:
    """Those with any result, the one to recommend first.

    The furthest of the tuned ones are compared by AP on the folds that they share, and the best of them with the best
    that tunes nothing, on the same images. The others follow by how far they came.
    """
    known = [one for one in candidates if one.records]
    tuned = [one for one in known if one.tunes]
    untuned = [one for one in known if not one.tunes]
    order: list[Candidate] = []
    while tuned or untuned:
        chosen = _best(tuned, labelled)
        fixed = _best(untuned, labelled)
        if chosen is None or fixed is None:
            taken = chosen or fixed
        else:
            folds = sorted(set(chosen.records) & set(fixed.records))
            better = bool(folds) and ap_on(chosen, labelled, folds) > ap_on(fixed, labelled, folds)
            taken = chosen if better else fixed  # among equals the one that needs no tuning
        assert taken is not None
        order.append(taken)
        (tuned if taken.tunes else untuned).remove(taken)
    return order


def _best(candidates: list[Candidate], labelled: Labelled) -> Candidate | None:
    if not candidates:
        return None
    furthest = max(one.rung for one in candidates)
    level = [one for one in candidates if one.rung == furthest]
    return max(level, key=lambda one: (ap_on(one, labelled, sorted(one.records)), -one.place))
