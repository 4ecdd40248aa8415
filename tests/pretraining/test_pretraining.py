"""Pre-training the nano models: reproducible, resumable, exported whole."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import glip_core
from glip_core import InputError
from glip_core.config import PRESETS, SwinConfig, get_config
from odinw_bench import pretraining
from odinw_bench.mini.pretraining import DETECTION_CLASSES
from odinw_bench.pretraining import (
    CURVE,
    RECIPES,
    PretrainingData,
    PretrainRecipe,
    card,
    export_weights,
    get_recipe,
    learners,
    pretrain,
    train,
)
from odinw_bench.pretraining.learners import new_learner

RECIPE = PretrainRecipe(steps=4, batch=2, warmup=2, precision="fp32", seed=7)


class Stop(Exception):
    """Thrown to interrupt a training."""


def interrupt(state: dict[str, float]) -> None:
    if state["step"] == 2:
        raise Stop


@pytest.mark.parametrize("model", ["glip-nano", "dyhead-nano", "rtdetr-nano"])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, model):
    recipe = dataclasses.replace(RECIPE, model=model)
    whole = pretrain(recipe, tmp_path / "whole", save_every=2).network
    with pytest.raises(Stop):
        pretrain(recipe, tmp_path / "parts", save_every=2, on_step=interrupt)
    parts = pretrain(recipe, tmp_path / "parts", save_every=2).network
    assert all(a.equal(b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    with pytest.raises(InputError, match="another recipe"):
        pretrain(dataclasses.replace(recipe, seed=8), tmp_path / "parts")


def test_full_size_models_are_not_trained_here(tmp_path):
    with pytest.raises(InputError, match="only the nano models"):
        pretrain(dataclasses.replace(RECIPE, model="glip-t"), tmp_path)


def test_items_depend_on_the_recipe_and_their_number_alone():
    first, second = (PretrainingData(RECIPE, get_config(RECIPE.model)) for _ in range(2))
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


@pytest.fixture
def made(tmp_path):
    """Untrained weights of the models that others are made from."""
    paths = {}
    for model, classes in (("dyhead-nano", len(DETECTION_CLASSES)), ("glip-nano-c", None)):
        torch.manual_seed(1)
        detector = glip_core.build(model, num_classes=classes)
        if classes is None:
            with torch.no_grad():
                detector.head.bias0.zero_()  # so that some scores are high
        paths[model] = tmp_path / f"{model}.safetensors"
        export_weights(detector, paths[model], {})
    return paths


def test_training_begins_with_the_vision_of_the_model_it_is_told_to(tmp_path, made):
    recipe = dataclasses.replace(RECIPE, backbone=str(made["dyhead-nano"]), lr=1e-12)
    given = glip_core.load("dyhead-nano", made["dyhead-nano"], num_classes=len(DETECTION_CLASSES))
    trained = pretrain(recipe, tmp_path / "out", until=1).network
    for mine, theirs in zip(trained.vision.parameters(), given.vision.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)


def test_training_can_go_on_from_a_whole_model(tmp_path, made):
    recipe = dataclasses.replace(RECIPE, whole=str(made["glip-nano-c"]), lr=1e-12)
    given = glip_core.load("glip-nano-c", made["glip-nano-c"])
    trained = pretrain(recipe, tmp_path / "out", until=1).network
    for mine, theirs in zip(trained.parameters(), given.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)


def test_a_teacher_finds_the_boxes_of_captions(made):
    captions = dataclasses.replace(RECIPE, mix={"captions": 1.0}, teacher=str(made["glip-nano-c"]))
    easy = PretrainingData(dataclasses.replace(captions, confidence=0.0), get_config("glip-nano"))[1]
    hard = PretrainingData(dataclasses.replace(captions, confidence=1.1), get_config("glip-nano"))[1]
    assert len(easy.targets.labels) > 0 and int(easy.targets.labels.max()) < len(easy.prompt)
    assert len(hard.targets.labels) == 0
    with pytest.raises(ValueError, match="needs a teacher"):
        PretrainingData(dataclasses.replace(captions, teacher=None), get_config("glip-nano"))[1]


def test_stopping_early_leaves_the_schedule_alone(tmp_path):
    short = pretrain(dataclasses.replace(RECIPE, steps=100), tmp_path, until=1).network
    again = pretrain(dataclasses.replace(RECIPE, steps=100), tmp_path / "more", until=1).network
    assert all(a.equal(b) for a, b in zip(short.parameters(), again.parameters(), strict=True))
    whole = pretrain(dataclasses.replace(RECIPE, steps=100), tmp_path, until=3).network
    straight = pretrain(dataclasses.replace(RECIPE, steps=100), tmp_path / "straight", until=3).network
    assert all(a.equal(b) for a, b in zip(whole.parameters(), straight.parameters(), strict=True))


def test_a_resumed_training_continues_its_curve(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "STEPS_A_LINE", 4)
    recipe = dataclasses.replace(RECIPE, model="dyhead-nano", steps=60, batch=1)
    curve = tmp_path / CURVE
    pretrain(recipe, tmp_path, until=4)
    curve.write_text(curve.read_text() + json.dumps({"step": 8, "seconds": 9.0}) + "\n")  # then it was killed
    pretrain(recipe, tmp_path, until=8)
    lines = [json.loads(line) for line in curve.read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8]
    assert lines[1]["seconds"] >= lines[0]["seconds"] and "box" in lines[1]


def test_the_curve_of_a_killed_training_may_end_within_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "STEPS_A_LINE", 1)
    recipe = dataclasses.replace(RECIPE, model="dyhead-nano", steps=60, batch=1)
    curve = tmp_path / CURVE
    pretrain(recipe, tmp_path, until=1)
    curve.write_text(curve.read_text() + '{"step": 2, "sec')
    pretrain(recipe, tmp_path, until=2)
    assert [json.loads(line)["step"] for line in curve.read_text().splitlines()] == [1, 2]


def test_a_loss_that_is_no_number_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(learners.PresetLearner, "losses", lambda *_: {"box": torch.tensor(float("nan"))})
    with pytest.raises(InputError, match="the loss became nan at step"):
        pretrain(dataclasses.replace(RECIPE, model="dyhead-nano"), tmp_path)


def test_a_training_begins_with_what_is_asked_for(tmp_path, monkeypatch, cli):
    """One of --backbone and --whole takes the place of what the recipe says; what cannot be is refused."""
    begun = []
    monkeypatch.setattr(pretraining, "pretrain", lambda recipe, *_, **__: begun.append(recipe) or _Nothing())
    monkeypatch.setattr(pretraining, "card", lambda *_: {})
    common = ["pretrain", "--out", tmp_path]
    for options in (["--backbone", "dyhead-nano"], ["--model", "glip-nano-a", "--whole", "glip-nano-c"], []):
        assert cli(*common, *options).code == 0
    assert [(one.backbone, one.whole) for one in begun] == [
        ("dyhead-nano", None),
        (None, "glip-nano-c"),
        (None, "glip-nano-c"),
    ]
    both = cli(*common, "--backbone", "dyhead-nano", "--whole", "glip-nano-c").refused()
    assert "leave one of them out" in both
    whole = cli(*common, "--model", "gdino-nano", "--whole", "glip-nano").refused()
    assert "takes over backbones alone" in whole
    teacher = cli(*common, "--model", "dyhead-nano", "--teacher", "glip-nano-c").refused()
    assert "has no captions that a teacher could find boxes of" in teacher


class _Nothing:
    def save(self, out, model, facts):
        return out / model


@pytest.mark.parametrize(
    ("model", "beginning", "said"),
    [
        ("glip-nano", {"whole": "dyhead-nano"}, "the weights of 'dyhead-nano' are of other sizes or parts"),
        ("glip-nano-a", {"backbone": "glip-t"}, "the weights of 'glip-t' are of other sizes or parts"),
        ("gdino-nano", {"backbone": "dyhead-nano"}, "the backbones of 'glip-nano', not with those of 'dyhead-nano'"),
        ("rtdetr-nano", {"backbone": "glip-t"}, "the backbones of 'dyhead-nano', not with those of 'glip-t'"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(model, beginning, said, monkeypatch):
    if "glip-t" in beginning.values():
        other = dataclasses.replace(
            PRESETS["glip-nano"], name="glip-t", swin=SwinConfig(16, (1, 1, 1, 1), (1, 2, 4, 8), 5, 0.0)
        )
        monkeypatch.setattr(learners, "load_named", lambda _: glip_core.assemble(other))
    with pytest.raises(InputError, match=said):
        new_learner(dataclasses.replace(RECIPE, model=model, **beginning))


def test_a_training_that_went_on_between_two_lines_of_its_curve_has_the_same_line(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "STEPS_A_LINE", 4)
    recipe = dataclasses.replace(RECIPE, model="dyhead-nano", steps=60, batch=1)
    pretrain(recipe, tmp_path / "parts", until=3)
    pretrain(recipe, tmp_path / "parts", until=4)
    pretrain(recipe, tmp_path / "whole", until=4)
    (parts, whole) = (json.loads((tmp_path / name / CURVE).read_text()) for name in ("parts", "whole"))
    assert parts | {"seconds": 0} == whole | {"seconds": 0}


def test_every_embedded_model_has_a_recipe_whose_parts_are_made_before_it():
    made: list[str] = []
    for model, recipe in RECIPES.items():
        assert {recipe.backbone, recipe.whole, recipe.teacher} - {None} <= set(made)
        made.append(model)
    with pytest.raises(InputError, match="did you mean 'glip-nano-a'"):
        get_recipe("glip-nan-a")
