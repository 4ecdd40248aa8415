"""The hyper-parameters that a search may try, and what to try next."""

from __future__ import annotations

import random
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from odinw_bench.engine.recipes import RECORDED, Hyperparameters, current_name
from odinw_bench.search.sampler import STARTUP

_DECAYS = (1e-4, 0.5)
_MOST_REPEATS = 8
_DIGITS = 3


class RecipeSpace:
    """Learning rate, weight decay, epochs and repeats per epoch around those of a protocol.

    Rates from a tenth to ten times the protocol's; epochs from a quarter to twice; all on a logarithmic scale, which
    has no place for 0: where the protocol has no weight decay it stays so. A protocol with ``min_steps_per_epoch`` has
    that varied likewise in place of the repeats, which it overrules.

    Args:
        base: the protocol's hyper-parameters.
    """

    def __init__(self, base: Hyperparameters) -> None:
        self.base = base
        self.distributions: dict[str, FloatDistribution | IntDistribution] = {
            "lr": FloatDistribution(base.lr / 10, base.lr * 10, log=True),
        }
        if decay := base.weight_decay:
            low, high = min(_DECAYS[0], decay), max(_DECAYS[1], decay)
            self.distributions["weight_decay"] = FloatDistribution(low, high, log=True)
        self.distributions["epochs"] = IntDistribution(max(1, base.epochs // 4), base.epochs * 2, log=True)
        if least := base.min_steps_per_epoch:
            self.distributions["min_steps_per_epoch"] = IntDistribution(max(1, least // 4), least * 2, log=True)
        else:
            most = max(_MOST_REPEATS, base.repeats_per_epoch)
            self.distributions[RECORDED["repeats_per_epoch"]] = IntDistribution(1, most, log=True)

    def plain(self) -> dict[str, Any]:
        """The protocol's own values."""
        return {name: self.base.to_json()[name] for name in self.distributions}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """The overrides of a trial."""
        params: dict[str, Any] = {}
        for name, one in self.distributions.items():
            if isinstance(one, IntDistribution):
                params[name] = trial.suggest_int(name, one.low, one.high, log=one.log)
            else:
                params[name] = trial.suggest_float(name, one.low, one.high, log=one.log)
        return self.overrides(params)

    def overrides(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as ``--set`` takes them: rounded, and without what the protocol says anyway."""
        rounded = {name: value if isinstance(value, int) else _round(value) for name, value in params.items()}
        return {name: value for name, value in rounded.items() if value != self.base.to_json()[name]}


def in_words(overrides: Mapping[str, Any]) -> str:
    """Overrides as the command line writes them."""
    return ",".join(f"{current_name(name)}={value:g}" for name, value in overrides.items())


class NumberedSampler(BaseSampler):
    """Optuna's multivariate TPE with draws that depend on the trial's number.

    So neither a resumed study nor workers that share one repeat each other's draws.

    Args:
        space: the parameters.
        seed: of the draws.
    """

    def __init__(self, space: RecipeSpace, seed: int) -> None:
        self.space, self.seed = space, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters."""
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All values, or none while there is nothing to learn from."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = self.seed * 7919 + trial.number
            sampler = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP, seed=seed)
        return sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """By chance, evenly on the parameter's own scale."""
        draw = random.Random(zlib.crc32(f"{self.seed} {trial.number} {param_name}".encode()))
        sampler = optuna.samplers.RandomSampler(seed=draw.randrange(2**31))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
