"""What to try next: every class learns from its own AP, so that one trial teaches as many lessons as there are classes.

A prompt of seven classes has a hundred million variants of each class, but the AP of a class depends on its own words
first of all. So the tree-structured Parzen estimator is asked for each class by itself, with that class's AP as the
value; every second trial puts the best words of most classes so far together and varies those of the others.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from odinw_bench.search.space import PromptSpace

BY_GROUP = "by group"
"""User attribute of a trial: the value that each group of parameters learns from."""

KEEP = 0.6
"""Probability of a class to keep its best words so far in a trial that recombines: every second one."""

STARTUP = 8
"""Trials before the estimator replaces chance."""


class ByClassSampler(BaseSampler):
    """Suggests all parameters of a trial at once, group by group.

    Everything it knows it reads from the study's finished trials, so a study can be resumed, and shared by
    several workers.

    Args:
        space: the groups.
        seed: of the draws; the number of a trial is mixed in.
    """

    def __init__(self, space: PromptSpace, seed: int) -> None:
        self.space = space
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters."""
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of all parameters."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        known = [one for one in finished if BY_GROUP in one.user_attrs]
        recombine = len(known) >= STARTUP and trial.number % 2 == 1
        draw = random.Random(self.seed * 7919 + trial.number)
        chosen: dict[str, Any] = {}
        for number, (group, distributions) in enumerate(self.space.groups.items()):
            rated = [(one, one.user_attrs[BY_GROUP].get(group)) for one in known]
            rows = [(one, float(value)) for one, value in rated if value is not None]
            if recombine and rows and draw.random() < KEEP:
                best = max(rows, key=lambda row: row[1])[0]
                chosen |= {name: best.params[name] for name in distributions}
            else:
                chosen |= self._ask(rows, distributions, trial.number * 1009 + number)
        return chosen

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """By chance; used for nothing that :class:`PromptSpace` has."""
        assert isinstance(param_distribution, optuna.distributions.CategoricalDistribution)
        return random.Random(self.seed + trial.number).choice(param_distribution.choices)

    def _ask(
        self, rows: Sequence[tuple[FrozenTrial, float]], distributions: Mapping[str, Any], draw: int
    ) -> dict[str, Any]:
        """One group's next values, by a study of its own."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = TPESampler(multivariate=True, n_startup_trials=STARTUP, seed=self.seed * 7919 + draw)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for one, value in rows:
            params = {name: one.params[name] for name in distributions}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=dict(distributions), value=value))
        return dict(study.ask(dict(distributions)).params)
