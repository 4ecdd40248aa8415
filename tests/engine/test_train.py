"""The tuning loop on a small detector and drawn scenes: caching, batches, early stopping, failures."""

from __future__ import annotations

import contextlib
import copy
import dataclasses

import pytest
import torch

import glip_core
from glip_core import Prompt, tuning
from glip_core.detection.losses import Normalisers
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine import reading
from odinw_bench.engine import train as training
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.data import ImageRequest, prepare_image, request_targets
from odinw_bench.engine.features import FeatureCache
from odinw_bench.engine.predict import detect_split
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.engine.schedule import DataOrder, EarlyStopping, PlateauSchedule
from odinw_bench.engine.train import DivergedError, tune
from odinw_bench.models.glip import GlipModel
from tests.glip_core.test_detector import SMALL

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


def detector(seed: int = 0) -> GlipModel:
    torch.manual_seed(seed)
    return GlipModel(glip_core.assemble(TINY))


def settings(**changes):
    base = hyperparameters("odinw-glip-1", "full", 5)
    small = {"lr": 1e-3, "epochs": 2, "repeats_per_epoch": 1, "scales": (0.7, 1.0)}
    return dataclasses.replace(base, **(small | changes))


@pytest.mark.parametrize("mode", ["full", "linear"])
def test_reading_in_the_background_changes_no_number(data, mode, monkeypatch):
    """As beside a GPU: the same losses, AP and weights, to the last bit."""
    prompt, train, validation = data
    runs = []
    for threads in (0, 3):
        monkeypatch.setattr(reading, "reading_threads", lambda _, threads=threads: threads)
        model = detector()
        tuned = tune(model, tuning.get_mode(mode), prompt, train, validation, settings(), seed=3)
        losses = [line["losses"] | {"AP": line["validation_AP"]} for line in tuned.history]
        runs.append((losses, model.tuned_state()))
    (losses, state), (losses_ahead, state_ahead) = runs
    assert losses == losses_ahead
    assert all(state[name].equal(state_ahead[name]) for name in state)


@pytest.mark.parametrize("mode", ["prompt", "linear", "language"])
def test_the_cache_changes_no_number(data, mode):
    """With and without cached frozen features: the same losses, AP and weights, to the last bit."""
    prompt, train, validation = data
    runs = []
    for budget in (1 << 30, 0):
        model, cache = detector(), FeatureCache(budget)
        tuned = tune(model, tuning.get_mode(mode), prompt, train, validation, settings(), seed=3, cache=cache)
        runs.append((tuned, model.tuned_state(), cache))
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


class Interruption(Exception):
    """Stands in for a kill."""


@pytest.mark.parametrize("mode", ["prompt", "full"])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(data, tmp_path, mode):
    """With dropout, so that the random state matters; to the last bit."""
    prompt, train, validation = data
    chosen, recipe = tuning.get_mode(mode), settings(epochs=5, eval_every=2, lr=0.01)

    def attempt(resume, stop_after=None):
        torch.manual_seed(0)
        model, lines = GlipModel(glip_core.assemble(dataclasses.replace(SMALL, image_long=128))), []

        def on_epoch(line):
            lines.append(line)
            if line["epoch"] == stop_after:
                raise Interruption

        tuned = None
        with contextlib.suppress(Interruption):
            tuned = tune(model, chosen, prompt, train, validation, recipe, seed=3, resume=resume, on_epoch=on_epoch)
        return tuned, model.tuned_state(), [line["epoch"] for line in lines]

    whole, expected, _ = attempt(None)
    path = tmp_path / "state"
    assert attempt(Resume(path, "run", overhead=1.0), stop_after=2)[2] == [1, 2]
    assert attempt(Resume(path, "run", overhead=1.0), stop_after=4)[2] == [2, 3, 4]  # killed before 2 was saved
    tuned, state, epochs = attempt(Resume(path, "run", overhead=1.0))
    assert epochs == [4, 5]
    strip = lambda history: [{k: v for k, v in line.items() if k != "seconds"} for line in history]  # noqa: E731
    assert strip(tuned.history) == strip(whole.history)
    assert (tuned.best_ap, tuned.best_epoch, tuned.steps) == (whole.best_ap, whole.best_epoch, whole.steps)
    assert all(state[name].equal(expected[name]) for name in expected)
    assert attempt(Resume(path, "run"))[2] == []  # all epochs were done: only the best weights are put back


def test_tuning_leaves_the_random_state_alone(data):
    prompt, train, validation = data
    model = detector()
    before = torch.get_rng_state()
    tune(model, tuning.get_mode("full"), prompt, train, validation, settings(epochs=1), seed=3)
    assert torch.get_rng_state().equal(before)


def test_every_epoch_has_a_line_and_some_are_evaluated(data):
    prompt, train, validation = data
    recipe = settings(epochs=3, eval_every=2)
    tuned = tune(detector(), tuning.get_mode("prompt"), prompt, train, validation, recipe, seed=3)
    assert [line["epoch"] for line in tuned.history] == [1, 2, 3]
    assert [line["validation_AP"] is not None for line in tuned.history] == [False, True, True]
    assert tuned.steps == 3 * (len(train) // 4)


def test_a_batch_is_one_batch_whatever_the_sizes_of_its_images(data):
    """One step on images of two padded sizes: the gradient of the sum of their losses over common normalisers."""
    prompt, train, validation = data
    mode, recipe = tuning.get_mode("full"), settings(epochs=1, batch=2)
    requests = [ImageRequest(train.image_ids[0], 0.7), ImageRequest(train.image_ids[1], 1.0, flip=True)]
    model = detector()
    loop = training._Loop(model, mode, prompt, train, validation, recipe, 3, "fp32", FeatureCache())
    items = [prepare_image(train, request, model) for request in requests]
    assert items[0].padded_hw != items[1].padded_hw
    model.train()
    network = model.network
    targets = [request_targets(train, r, i.hw, network.device) for r, i in zip(requests, items, strict=True)]
    total = sum((network.normalisers(i.padded_hw, t) for i, t in zip(items, targets, strict=True)), Normalisers(0, 0))
    loss = sum(
        sum(network.losses_from_raw(network.forward_raw(i.pixels, prompt), [t], prompt, normalisers=total).values())
        for i, t in zip(items, targets, strict=True)
    )
    loss.backward()
    expected = {name: p.grad.clone() for name, p in loop.trainable.items() if p.grad is not None}
    norm = torch.sqrt(sum(g.square().sum() for g in expected.values()))
    losses = loop.step(loop.images(requests))
    assert sum(losses.values()) == pytest.approx(float(loss.detach()), rel=1e-6)
    for name, gradient in expected.items():  # what the optimiser saw: clipped to a norm of 1
        torch.testing.assert_close(
            loop.trainable[name].grad, gradient * min(1.0, 1.0 / float(norm)), atol=1e-6, rtol=1e-4, msg=name
        )


def test_the_offset_has_its_own_rate(data):
    prompt, train, validation = data
    recipe = settings(lr=1e-3, offset_factor=30.0)
    loop = training._Loop(
        detector(), tuning.get_mode("prompt+linear"), prompt, train, validation, recipe, 3, "fp32", FeatureCache()
    )
    rates = {p: group["lr"] for group in loop.optimisation.optimiser.param_groups for p in group["params"]}
    assert rates[loop.trainable[tuning.PROMPT_OFFSET]] == pytest.approx(0.03)
    assert rates[loop.trainable["rpn.head.bbox_pred.weight"]] == pytest.approx(1e-3)
    assert rates[loop.trainable["rpn.head.bbox_pred.bias"]] == pytest.approx(2e-3)


def test_rates_fall_to_the_limit_and_no_further(data):
    prompt, train, validation = data
    recipe = settings(lr=1e-5, language_lr=1e-7)
    loop = training._Loop(
        detector(), tuning.get_mode("full"), prompt, train, validation, recipe, 3, "fp32", FeatureCache()
    )
    for _ in range(1 + 3 * (recipe.step_patience + 1)):
        loop.plateau.update(10.0)
    rates = {round(group["lr"], 12) for group in loop.optimisation.optimiser.param_groups}
    assert rates == {1e-6, 1e-7, 2e-7}  # a rate that began below the limit stays


def test_the_order_of_images():
    """Every image as often before any comes again; the same from the same seed; resumed from a state."""
    recipe = settings(batch=4, repeats_per_epoch=2)
    order = DataOrder(list(range(6)), recipe, seed=3)
    assert order.length.steps == 3
    epoch = [request for _ in range(order.length.steps) for request in order.batch()]
    assert sorted(request.image_id for request in epoch) == sorted([*range(6)] * 2)
    assert {request.scale for request in epoch} <= {0.7, 1.0}
    assert {request.flip for request in epoch} == {True, False}
    again = DataOrder(list(range(6)), recipe, seed=3)
    assert [request for _ in range(3) for request in again.batch()] == epoch
    assert DataOrder(list(range(6)), recipe, seed=30).batch() != epoch[:4]
    state = order.state()
    following = [order.batch() for _ in range(5)]
    again.restore(state)
    assert [again.batch() for _ in range(5)] == following


def test_a_subset_smaller_than_a_batch_trains_all_the_same():
    order = DataOrder([7], settings(batch=4, repeats_per_epoch=1), seed=3)
    assert order.length.steps == 1
    assert [request.image_id for request in order.batch()] == [7] * 4


def test_a_loss_that_is_not_finite_ends_the_run(data):
    prompt, train, validation = data
    model = detector()
    with torch.no_grad():
        model.network.head.boxes.bbox_pred.weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        tune(model, tuning.get_mode("full"), prompt, train, validation, settings(), seed=3)


def test_early_stopping_keeps_ties_and_counts_as_the_official_recipe():
    stopping = EarlyStopping(patience=3)
    assert stopping.update(0.0)  # even AP 0 is kept at first
    assert [stopping.update(ap) for ap in (10.0, 10.0, 9.0, 9.5)] == [True, True, False, False]  # a tie replaces
    assert not stopping.should_stop
    assert not stopping.update(9.5)
    assert stopping.should_stop  # three worse than the best


def rates_after(aps, lr=1.0, **changes):
    """The rate after each evaluation."""
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=lr)
    schedule, rates = PlateauSchedule(optimiser, settings(**changes)), []
    for ap in aps:
        schedule.update(ap)
        rates.append(optimiser.param_groups[0]["lr"])
    return rates


def test_rates_fall_on_a_plateau_as_in_the_official_recipe():
    assert rates_after([0, 10, 10, 9, 9.5, 9.5], step_patience=1) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])
    gains = [10, 10.0005, 10.002]  # below and above the relative gain that counts
    assert rates_after(gains, step_patience=0) == pytest.approx([1, 0.1, 0.1])


def test_an_ap_of_zero_does_not_count_for_the_plateau():
    assert rates_after([0.0, 0.0, 0.0], step_patience=0) == [1, 1, 1]
    assert rates_after([5.0, 0.0, 0.0, 5.0], step_patience=1) == [1, 1, 1, 1]


def test_rates_below_the_default_step_of_torch_fall_too():
    assert rates_after([5.0, 5.0], lr=1e-8, step_patience=0, min_lr=0.0) == pytest.approx([1e-8, 1e-9], rel=1e-6)


def test_the_plateau_resumes_from_its_state(data):
    """Saved and read as a resume file is, with other rates than at the start."""
    prompt, train, validation = data
    arguments = (tuning.get_mode("linear"), prompt, train, validation, settings(step_patience=1), 3, "fp32")
    loop = training._Loop(detector(), *arguments, FeatureCache())
    for ap in (10.0, 10.0, 10.0, 9.0):
        loop.plateau.update(ap)
    other = training._Loop(detector(), *arguments, FeatureCache())
    state = copy.deepcopy(loop.state())
    assert other.accepts(state)
    other.restore(state)
    other.plateau.update(9.0)  # the second after the fall
    assert [group["lr"] for group in other.optimisation.optimiser.param_groups] == pytest.approx(
        [group["lr"] * 0.1 for group in loop.optimisation.optimiser.param_groups]
    )


@pytest.mark.parametrize("change", ["an earlier version's key", "a missing key", "a key within a part"])
def test_a_state_with_other_keys_counts_as_absent(data, tmp_path, change):
    prompt, train, validation = data
    mode, recipe = tuning.get_mode("prompt"), settings(epochs=1)
    path = tmp_path / "state"
    tune(detector(), mode, prompt, train, validation, recipe, seed=3, resume=Resume(path, "run"))
    state = Resume(path, "run").load()
    if change == "an earlier version's key":
        state["patience"] = {"step_patience": 3} | state.pop("early_stopping")
        del state["plateau"]
    elif change == "a missing key":
        del state["order"]
    else:
        state["tuned"]["minutes"] = state["tuned"].pop("seconds")
    Resume(path, "run").offer(lambda: state)
    tuned = tune(detector(), mode, prompt, train, validation, recipe, seed=3, resume=Resume(path, "run", overhead=1.0))
    assert [line["epoch"] for line in tuned.history] == [1]
    assert Resume(path, "run").load().keys() >= {"early_stopping", "plateau"}


def test_detections_come_back_in_the_annotations_pixels(data):
    prompt, _, test = data
    model = detector()
    with torch.no_grad():
        model.network.head.bias0.fill_(1.0)
    found = detect_split(model, prompt, test)
    assert {entry["image_id"] for entry in found} == set(test.image_ids)
    width, height = test.size(test.image_ids[0])
    right = max(entry["bbox"][0] + entry["bbox"][2] for entry in found)
    bottom = max(entry["bbox"][1] + entry["bbox"][3] for entry in found)
    assert 0.8 * width < right <= width * 1.02
    assert 0.8 * height < bottom <= height * 1.02
    assert {entry["category_id"] for entry in found} <= set(test.category_ids)


def language_passes(model, work):
    """How often the language backbone runs meanwhile."""
    passes = []
    hook = model.network.language.register_forward_hook(lambda *_: passes.append(1))
    work()
    hook.remove()
    return len(passes)


@pytest.mark.parametrize("mode", ["prompt", "linear", "prompt+linear"])
def test_frozen_language_runs_once_for_all_steps_and_evaluations(data, mode):
    model = detector()
    run = lambda: tune(model, tuning.get_mode(mode), *data, settings(), seed=0)  # noqa: E731
    assert language_passes(model, run) == 1


def test_trained_language_runs_for_each_pass_and_once_for_each_evaluation(data):
    model = detector()
    outcomes = []
    run = lambda: outcomes.append(tune(model, tuning.get_mode("language"), *data, settings(epochs=1), seed=0))  # noqa: E731
    passes = language_passes(model, run)
    in_training = passes - sum(line["validation_AP"] is not None for line in outcomes[0].history)
    assert outcomes[0].steps <= in_training <= 6  # images of one size share a pass


def test_a_split_is_detected_with_one_language_pass(data, monkeypatch):
    prompt, train, _ = data
    model = detector()
    monkeypatch.setattr(GlipModel, "batch_size", 1)
    assert language_passes(model, lambda: detect_split(model, prompt, train)) == 1
