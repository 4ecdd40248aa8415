"""Rates that fall at fixed shares of the steps: COCO's recipe."""

from __future__ import annotations

import json

import pytest
import torch

from glip_core import InputError
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.engine.schedule import StepSchedule


def test_the_coco_recipe_is_the_public_command():
    settings = hyperparameters("coco-glip-1", "full", "all")
    assert (settings.lr, settings.language_lr, settings.batch, settings.epochs) == (1e-5, 1e-5, 32, 24)
    assert settings.step_at == (0.67, 0.89)
    assert settings.train_precision == "fp16"
    assert settings.to_json()["step_at"] == [0.67, 0.89]


def test_other_recipes_keep_their_identity():
    for protocol in ("mini-1", "odinw-glip-3", "quick-1"):
        assert "step_at" not in hyperparameters(protocol, "full", "all").to_json()


def test_rates_fall_to_a_tenth_at_each_share():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([{"params": [weight], "lr": 1.0}])
    schedule = StepSchedule(optimiser, hyperparameters("coco-glip-1", "full", "all"), 100)
    rates = []
    for step in range(1, 101):
        rates.append(optimiser.param_groups[0]["lr"])
        schedule.update(step)
    assert [rates.count(rate) for rate in sorted(set(rates), reverse=True)] == [67, 22, 11]
    assert rates[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("value", ["1.5", "0", "x", ""])
def test_shares_that_cannot_be_are_refused(value):
    with pytest.raises(InputError, match="'step_at' wants shares above 0 and below 1"):
        hyperparameters("mini-1", "full", "all", {"step_at": value})


def test_a_run_says_the_rates_of_its_epochs(cli, tmp_path):
    settings = "epochs=4,eval_every=4,repeats_per_epoch=1,step_at=0.5,lr=0.001"
    done = cli(
        "run", "--dataset", "packages", "--mode", "linear", "--shots", "1", "--set", settings, "--results", tmp_path,
        "--engine", "local",
    )  # fmt: skip
    assert done.code == 0, done.err
    (history,) = tmp_path.glob("mini/glip-nano/packages/*/history.jsonl")
    rates = [json.loads(line)["lr"] for line in history.read_text().splitlines()]
    assert rates[0] == pytest.approx(10 * rates[-1])
