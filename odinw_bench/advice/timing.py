"""How long a run of a way will probably take, from what has been run so far."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from odinw_bench.advice.candidates import SHORT, Candidate, recipe_of
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.prior import known
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.engine.length import Length
from odinw_bench.runs.record import RunRecord

PASSES = 3.0
"""A step of full tuning takes an image so many times as long as detection: forward, and backward twice that."""


class Timing:
    """Expected seconds.

    Args:
        candidates: with the records that there are; later ones are seen as well.
        labelled: the images.
        settings: of the advice.
    """

    def __init__(self, candidates: Sequence[Candidate], labelled: Labelled, settings: AdviceSettings) -> None:
        self.candidates, self.labelled, self.settings = candidates, labelled, settings

    def seconds(self, candidate: Candidate, number: int, *, short: bool = False) -> float:
        """Of tuning and testing a candidate on a fold; 0 where nothing is known of the model.

        Its own other runs say most, then other ways of the same model, then how fast the model detects.

        Args:
            candidate: one that tunes.
            number: of the fold.
            short: with few epochs and images.
        """
        work = self._work(candidate, number, short=short)
        model = [one for one in self.candidates if one.model == candidate.model]
        paces = self._paces([candidate]) or self._paces([one for one in model if one.tunes])
        if not paces:
            paces = [1 / record.cost["images_per_second"] for one in model for record in one.full.values()]
        return statistics.fmean(paces) * work if paces else 0.0

    def _paces(self, candidates: Sequence[Candidate]) -> list[float]:
        """Seconds for a unit of work, of each run."""
        found = []
        for one in candidates:
            found += [_seconds(record) / self._work(one, fold, short=False) for fold, record in one.full.items()]
            found += [_seconds(record) / self._work(one, fold, short=True) for fold, record in one.short.items()]
        return found

    def _work(self, candidate: Candidate, number: int, *, short: bool) -> float:
        """In detections of an image; recipes of very many epochs are expected to end early."""
        fold = self.labelled.few(self.settings.seed) if short else self.labelled.folds[number]
        recipe = recipe_of(candidate, self.settings)
        length = Length.of(len(fold.trained), recipe)
        epochs = min(
            -(-length.epochs // SHORT) if short else length.epochs, 3 * recipe.stop_patience * recipe.eval_every
        )
        evaluations = max(1, epochs // recipe.eval_every)
        passes = PASSES * known().share(candidate.mode)
        return (
            passes * epochs * length.steps * recipe.batch
            + evaluations * len(fold.selected or fold.trained)
            + len(fold.tested)
        )


def _seconds(record: RunRecord) -> float:
    cost = record.cost
    return float((cost.get("tune_seconds") or 0.0) + (cost.get("test_seconds") or 0.0))
