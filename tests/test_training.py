"""The tuning loop on a small detector and drawn scenes: caching, batches, patience, failures."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import glip_core
from glip_core import Prompt, tuning
from odinw_bench.features import FeatureCache
from odinw_bench.inference import detect_split
from odinw_bench.protocol import hyperparameters
from odinw_bench.schedule import Patience
from odinw_bench.sources import open_split
from odinw_bench.tasks import load_task
from odinw_bench.training import DivergedError, tune
from tests.core.test_detector import SMALL

TINY = dataclasses.replace(
    SMALL,
    text=dataclasses.replace(SMALL.text, dropout=0.0),
    fusion=dataclasses.replace(SMALL.fusion, dropout=0.0),
    swin=dataclasses.replace(SMALL.swin, drop_path=0.0),
    drop_block=0.0,
    image_long=128,
)


@pytest.fixture(scope="module")
def data():
    task = load_task("vehicles", "mini")
    train, test = open_split(task, "train"), open_split(task, "test")
    return Prompt.from_classes(task.class_names), train.subset(train.image_ids[:6]), test.subset(test.image_ids[:3])


def detector(seed: int = 0) -> glip_core.GLIP:
    torch.manual_seed(seed)
    return glip_core.assemble(TINY)


def settings(**changes):
    base = hyperparameters("odinw-glip-1", "full", 5)
    small = {"lr": 1e-3, "epochs": 2, "copies": 1, "scales": (0.7, 1.0)}
    return dataclasses.replace(base, **(small | changes))


@pytest.mark.parametrize("mode", ["prompt", "linear", "language"])
def test_the_cache_changes_no_number(data, mode):
    """With and without cached frozen features: the same losses, AP and weights, to the last bit."""
    prompt, train, validation = data
    runs = []
    for budget in (1 << 30, 0):
        model, cache = detector(), FeatureCache(budget)
        tuned = tune(model, tuning.get_mode(mode), prompt, train, validation, settings(), seed=3, cache=cache)
        runs.append((tuned, tuning.tuned_state(model, tuning.get_mode(mode)), cache))
    (cached, state, cache), (plain, plain_state, no_cache) = runs
    strip = lambda history: [{k: v for k, v in line.items() if k != "seconds"} for line in history]  # noqa: E731
    assert strip(cached.history) == strip(plain.history)
    assert all(state[name].equal(plain_state[name]) for name in plain_state)
    assert cache.hits > 0
    assert no_cache.hits == 0
    assert cache.misses < no_cache.misses


def test_the_same_seed_gives_the_same_run_and_another_does_not(data):
    prompt, train, validation = data
    mode = tuning.get_mode("full")
    curves = []
    for seed in (3, 3, 30):
        tuned = tune(detector(), mode, prompt, train, validation, settings(), seed=seed)
        curves.append([line["losses"] for line in tuned.history])
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_losses_fall_when_tuning_everything(data):
    prompt, train, validation = data
    tuned = tune(
        detector(),
        tuning.get_mode("full"),
        prompt,
        train,
        validation,
        settings(epochs=40, eval_every=20, lr=2e-3, scales=(1.0,)),
        seed=3,
    )
    first, last = tuned.history[0]["losses"], tuned.history[-1]["losses"]
    assert sum(last.values()) < 0.9 * sum(first.values())
    assert tuned.parameters > 100_000


def test_a_loss_that_is_not_finite_ends_the_run(data):
    prompt, train, validation = data
    model = detector()
    with torch.no_grad():
        model.head.boxes.bbox_pred.weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        tune(model, tuning.get_mode("full"), prompt, train, validation, settings(), seed=3)


def test_patience_keeps_ties_and_counts_as_the_official_recipe():
    patience = Patience(step_patience=1, stop_patience=3)
    assert patience.judge(0.0) == (True, False, False)  # even AP 0 is kept at first
    assert patience.judge(10.0) == (True, False, False)
    assert patience.judge(10.0) == (True, False, False)  # a tie replaces, and is a first bad check for the plateau
    assert patience.judge(9.0) == (False, True, False)  # the second: rates fall
    assert patience.judge(9.5) == (False, False, False)
    assert patience.judge(9.5) == (False, True, True)  # three worse than the best: stop


def test_an_ap_of_zero_does_not_count_for_the_plateau():
    patience = Patience(step_patience=0, stop_patience=9)
    assert patience.judge(0.0)[1] is False
    assert patience.judge(0.0)[1] is False


def test_detections_come_back_in_the_annotations_pixels(data):
    prompt, _, test = data
    model = detector()
    with torch.no_grad():
        model.head.bias0.fill_(1.0)
    found = detect_split(model, prompt, test)
    assert {entry["image_id"] for entry in found} == set(test.image_ids)
    width, height = test.size(test.image_ids[0])
    right = max(entry["bbox"][0] + entry["bbox"][2] for entry in found)
    bottom = max(entry["bbox"][1] + entry["bbox"][3] for entry in found)
    assert 0.8 * width < right <= width * 1.02
    assert 0.8 * height < bottom <= height * 1.02
    assert {entry["category_id"] for entry in found} <= set(test.category_ids)
