"""Pre-training the nano models: reproducible, resumable, exported whole."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import glip_core
from glip_core import InputError
from odinw_bench.pretraining import CURVE, PretrainingData, PretrainRecipe, card, export_weights, pretrain

RECIPE = PretrainRecipe(steps=4, batch=2, warmup=2, precision="fp32", seed=7)


class Stop(Exception):
    """Thrown to interrupt a training."""


def interrupt(state: dict[str, float]) -> None:
    if state["step"] == 2:
        raise Stop


@pytest.mark.parametrize("model", ["glip-nano", "dyhead-nano"])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, model):
    recipe = dataclasses.replace(RECIPE, model=model)
    whole = pretrain(recipe, tmp_path / "whole", save_every=2)
    with pytest.raises(Stop):
        pretrain(recipe, tmp_path / "parts", save_every=2, on_step=interrupt)
    parts = pretrain(recipe, tmp_path / "parts", save_every=2)
    assert all(a.equal(b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    with pytest.raises(InputError, match="another recipe"):
        pretrain(dataclasses.replace(recipe, seed=8), tmp_path / "parts")


def test_full_size_models_are_not_trained_here(tmp_path):
    with pytest.raises(InputError, match="only the nano models"):
        pretrain(dataclasses.replace(RECIPE, model="glip-t"), tmp_path)


def test_items_depend_on_the_recipe_and_their_number_alone():
    first, second = (PretrainingData(RECIPE, class_head=False, short=160, long=240) for _ in range(2))
    a, b = first[5], (second[0], second[5])[1]
    assert a.pixels.equal(b.pixels)
    assert a.targets.boxes.equal(b.targets.boxes)
    assert a.prompt == b.prompt
    assert len(a.targets.labels) == 0 or int(a.targets.labels.max()) < len(a.prompt)


def test_the_export_loads_and_its_card_says_how_it_was_made(tmp_path):
    detector = glip_core.build("glip-nano")
    (tmp_path / CURVE).write_text(json.dumps({"step": 4}) + "\n")
    facts = card(RECIPE, tmp_path)
    assert json.loads(facts["recipe"])["seed"] == 7
    export_weights(detector, tmp_path / "weights.safetensors", facts)
    loaded = glip_core.load("glip-nano", tmp_path / "weights.safetensors")
    for mine, theirs in zip(detector.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)  # half precision


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [RECIPE.learning_rate(step) for step in range(RECIPE.steps + 1)]
    assert rates[0] == RECIPE.lr / 2
    assert rates[1] == max(rates) == RECIPE.lr
    assert rates[-1] < 1e-12
