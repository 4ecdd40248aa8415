"""The runs that advice is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from odinw_bench.advice.candidates import SHORT, Candidate, spec_of
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import hyperparameters


def settings_of(spec):
    return hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides)


@pytest.mark.parametrize("model", ["glip-nano", "glip-t"])
def test_a_short_run_has_a_part_of_the_steps(model):
    settings = AdviceSettings("packages", models=(model,), shots=5)
    short, full = (
        Length.of(5, settings_of(spec_of(Candidate(model, "prompt", 0), Path("task.yaml"), settings, short=short)))
        for short in (True, False)
    )
    assert 0 < short.total <= full.total / SHORT * 1.1


def test_a_fold_is_tuned_by_the_recipe_of_the_run_that_is_advised_on():
    settings = AdviceSettings("packages", shots=5)
    spec = spec_of(Candidate("glip-nano", "prompt", 0), Path("task.yaml"), settings, short=False)
    assert settings_of(spec) == hyperparameters("mini-2", "prompt", 5)
