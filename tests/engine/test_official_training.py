"""What the official training does and ours did not: half precision, dropout, counts; on a small detector."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import glip_core
from glip_core import Targets, tuning
from odinw_bench.engine import optimise
from odinw_bench.engine import train as training
from odinw_bench.engine.distributed import DistributedContext
from odinw_bench.engine.features import FeatureCache
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import Hyperparameters, hyperparameters
from odinw_bench.engine.schedule import DataOrder
from odinw_bench.engine.train import DivergedError, tune
from odinw_bench.models.glip import GlipModel
from tests.engine.test_train import data, detector, language_passes, settings  # noqa: F401  data is a fixture
from tests.glip_core.test_detector import SMALL

ALIVE = dataclasses.replace(SMALL, image_long=128)  # with dropout


def lively(seed: int = 0) -> GlipModel:
    torch.manual_seed(seed)
    return GlipModel(glip_core.assemble(ALIVE))


def a_loop(model, mode, data, precision="fp32", **changes):  # noqa: F811
    prompt, train, validation = data
    mode = tuning.get_mode(mode)
    return training._Loop(model, mode, prompt, train, validation, settings(**changes), 3, precision, FeatureCache())


# -- half precision ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["linear", "prompt", "full"])
def test_training_in_half_precision_and_evaluation_in_float32(data, mode, monkeypatch):  # noqa: F811
    prompt, train, validation = data
    seen = {"losses": set(), "detect_batch": set()}

    def spy(name):
        original = getattr(GlipModel, name)

        def call(self, *arguments):
            on = torch.is_autocast_enabled("cpu")
            seen[name].add(torch.get_autocast_dtype("cpu") if on else torch.float32)
            return original(self, *arguments)

        monkeypatch.setattr(GlipModel, name, call)

    spy("losses")
    spy("detect_batch")
    model = detector()
    recipe = settings(epochs=1, train_precision="fp16", lr=1e-4)
    tuned = tune(model, tuning.get_mode(mode), prompt, train, validation, recipe, seed=3)
    assert seen == {"losses": {torch.float16}, "detect_batch": {torch.float32}}
    assert all(value.isfinite().all() for value in model.tuned_state().values())
    plain = tune(
        detector(), tuning.get_mode(mode), prompt, train, validation, settings(epochs=1, lr=1e-4), seed=3
    ).history[0]["losses"]
    (line,) = tuned.history
    assert line["losses"] == pytest.approx(plain, rel=0.05)
    assert line["losses"] != plain


class Leader(DistributedContext):
    """Rank 0 of two; keeps the sums of losses and gradients that it sends the other."""

    size = 2

    def __init__(self):
        self.sent, self.gradients = [], []

    def all_reduce(self, values):
        self.sent.append(dict(values))
        return dict(values)

    def all_reduce_gradients(self, parameters):
        self.gradients = [p.grad.clone() for p in parameters]


class Follower(Leader):
    """Rank 1 of two; receives what another leader sent."""

    rank = 1

    def __init__(self, leader):
        self.leader = leader

    def all_reduce(self, values):
        sent = self.leader.sent.pop(0)
        assert values.keys() == sent.keys()
        return sent

    def all_reduce_gradients(self, parameters):
        for parameter, gradient in zip(parameters, self.leader.gradients, strict=True):
            assert parameter.grad is None
            parameter.grad = gradient.clone()


@pytest.mark.parametrize("bad", [(), (1,)])
def test_a_process_without_an_image_of_the_batch_takes_the_same_step_in_fp16(data, bad):  # noqa: F811
    """Two processes, a batch of one: the second has no loss to scale, and moves as the first one does."""
    leader = Leader()
    loops = [a_loop(spoilt(*bad), "full", data, train_precision="fp16", **RECIPE) for _ in range(2)]
    before = [p.detach().clone() for p in loops[0].trainable.values()]
    for loop, context in zip(loops, (leader, Follower(leader)), strict=True):
        loop.distributed = loop.optimisation.distributed = context
        with torch.random.fork_rng():
            loop.step(loop.images(context.shard(loop.order.batch())))
    first, second = loops
    assert first.optimisation.scaler.state_dict() == second.optimisation.scaler.state_dict()
    assert first.optimisation.skipped == second.optimisation.skipped == len(bad)
    for one, other, old in zip(first.trainable.values(), second.trainable.values(), before, strict=True):
        assert one.equal(other)
        assert bad == () or one.equal(old)


def test_features_of_two_precisions_are_kept_apart(data):  # noqa: F811
    prompt, train, _ = data
    model, cache = detector(), FeatureCache()
    recipe = settings(epochs=1, train_precision="bf16", scales=(1.0,), flip=0.0)
    tune(model, tuning.get_mode("linear"), prompt, train, train, recipe, seed=3, cache=cache)
    kinds = {key[0]: features.levels[0].dtype for key, features in cache._kept.items()}
    assert set(kinds) == {"fp32", "bf16"}
    assert kinds["fp32"] == torch.float32


# -- losses that are not finite ------------------------------------------------------------------------------------


class Spoilt(GlipModel):
    """Its losses are not finite in the passes that ``bad`` names, counting from 1."""

    bad = frozenset()
    passes = 0

    def losses(self, *arguments):
        self.passes += 1
        losses = super().losses(*arguments)
        return {name: value * float("nan") for name, value in losses.items()} if self.passes in self.bad else losses


def spoilt(*bad: int) -> Spoilt:
    model = Spoilt(detector().network)
    model.bad = frozenset(bad)
    return model


RECIPE = {"batch": 1, "scales": (1.0,), "repeats_per_epoch": 1, "epochs": 1, "lr": 1e-4}  # six steps


def test_in_fp16_a_step_that_is_not_finite_is_left_out(data):  # noqa: F811
    loop = a_loop(spoilt(1), "full", data, train_precision="fp16", **RECIPE)
    before = {name: p.detach().clone() for name, p in loop.trainable.items()}
    line = loop.epoch()
    scale = loop.optimisation.scaler.get_scale()
    assert line["skipped_steps"] >= 1
    assert loop.tuned.skipped_steps == line["skipped_steps"] < line["steps"]
    assert all(torch.isfinite(torch.tensor(value)) for value in line["losses"].values())
    assert scale <= 2.0**15
    assert any(not p.equal(before[name]) for name, p in loop.trainable.items())
    assert all(p.isfinite().all() for p in loop.trainable.values())


def test_a_step_that_is_left_out_moves_nothing(data):  # noqa: F811
    loop = a_loop(spoilt(1), "full", data, train_precision="fp16", **RECIPE)
    before = {name: p.detach().clone() for name, p in loop.trainable.items()}
    with torch.random.fork_rng():
        assert loop.step(loop.images(loop.order.batch())) is None
    assert all(p.equal(before[name]) for name, p in loop.trainable.items())
    assert loop.optimisation.scaler.get_scale() == 2.0**15
    assert loop.optimisation.skipped == 1


def test_too_many_in_a_row_end_the_run(data, monkeypatch):  # noqa: F811
    assert optimise.MOST_SKIPPED == 20
    monkeypatch.setattr(optimise, "MOST_SKIPPED", 4)
    prompt, train, validation = data
    model = spoilt(*range(1, 100))
    with pytest.raises(DivergedError, match=r"4 steps in a row .* train_precision=fp32"):
        tune(
            model,
            tuning.get_mode("full"),
            prompt,
            train,
            validation,
            settings(train_precision="fp16", **RECIPE),
            seed=3,
        )
    assert model.passes == 4
    with pytest.raises(DivergedError, match="lower the learning rate"):  # at once, where the precision is no reason
        tune(spoilt(3), tuning.get_mode("full"), prompt, train, validation, settings(**RECIPE), seed=3)


def test_fewer_in_a_row_do_not(data, monkeypatch):  # noqa: F811
    monkeypatch.setattr(optimise, "MOST_SKIPPED", 4)
    loop = a_loop(spoilt(1, 2, 3), "full", data, train_precision="fp16", **RECIPE)
    loop.epoch()
    assert loop.optimisation.skipped < 4


# -- dropout -------------------------------------------------------------------------------------------------------


def test_the_linear_probe_with_the_towers_dropout(data):  # noqa: F811
    """Active in the tower and nowhere else while training, off while evaluating; what it changes is not cached."""
    model = lively()
    loop = a_loop(model, "linear", data, tower_dropout=True)
    (example, *_) = list(loop.images(loop.order.batch()))
    assert not example[1].tower_done  # the pyramid's maps, which have no dropout
    model.train()
    names = {name for name, module in model.network.named_modules() if module.training and not list(module.children())}
    assert names
    assert all(name.startswith("tower.") for name in names)
    frozen = [p.detach().clone() for p in model.network.tower.parameters()]
    first, second = (loop.step(iter([example])) for _ in range(2))
    assert first != second
    assert all(p.equal(before) for p, before in zip(model.network.tower.parameters(), frozen, strict=True))
    assert loop.evaluate() == loop.evaluate()
    quiet = a_loop(lively(), "linear", data)
    (cached, *_) = list(quiet.images(quiet.order.batch()))
    assert cached[1].tower_done
    assert quiet.step(iter([cached])) != first


def test_where_all_rates_are_zero_the_towers_dropout_changes_nothing_but_rounding(data):  # noqa: F811
    """The tower runs for the images of a pass together, instead of one by one for the cache."""
    lines = []
    for recipe in ({"tower_dropout": True}, {}):
        prompt, train, validation = data
        tuned = tune(detector(), tuning.get_mode("linear"), prompt, train, validation, settings(**recipe), seed=3)
        lines.append([line["losses"] for line in tuned.history])
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_mode_with_dropout_is_another_mode():
    plain = tuning.get_mode("linear")
    changed = plain.with_tower_dropout()
    assert (plain.tower_dropout, plain.frozen_tower) == (False, True)
    assert (changed.tower_dropout, changed.frozen_tower, changed.name) == (True, False, "linear")


def test_each_image_has_a_pass_of_a_trained_language_backbone(data):  # noqa: F811
    """Three images of one size: the language side draws for each; without the switch one draw serves all."""
    prompt, *_ = data
    model = lively()
    model.trainable(tuning.get_mode("language"), prompt)
    model.train()
    rows = []
    hook = model.network.language.register_forward_hook(lambda module, inputs, output: rows.append(output.hidden))
    torch.manual_seed(1)
    images = [model.prepare(picture(n)) for n in range(3)]
    targets = [Targets(torch.tensor([[4.0, 4.0, 40.0, 40.0]]), torch.tensor([0]))] * 3
    for model.text_per_image in (False, True):
        model.losses(images, targets, prompt, {"positives": 4.0, "centerness": 2.0})
    hook.remove()
    shared, own = rows
    assert (len(shared), len(own)) == (1, 3)
    assert not own[0].equal(own[1])
    assert not own[1].equal(own[2])


def picture(number: int):
    from PIL import Image

    return Image.new("RGB", (96, 64), (40 * number, 90, 120))


def test_a_frozen_language_backbone_runs_once_all_the_same(data):  # noqa: F811
    model = detector()
    run = lambda: tune(model, tuning.get_mode("prompt"), *data, settings(text_per_image=True), seed=0)  # noqa: E731
    assert language_passes(model, run) == 1
    half = lambda: tune(model, tuning.get_mode("prompt"), *data, settings(train_precision="bf16"), seed=0)  # noqa: E731
    assert language_passes(model, half) == 2  # once in each precision


# -- counts --------------------------------------------------------------------------------------------------------


class Counted(GlipModel):
    """Keeps the normalisers it was given."""

    given = None

    def losses(self, inputs, targets, prompt, normalisers):
        self.given = dict(normalisers)
        return super().losses(inputs, targets, prompt, normalisers)


@pytest.mark.parametrize(("least", "expected"), [(1, 1.0), (4, 4.0)])
def test_the_official_bound_on_the_normaliser(data, least, expected, monkeypatch):  # noqa: F811
    model = Counted(detector().network)
    monkeypatch.setattr(Counted, "normalisers", lambda *_: {"positives": 1.0, "centerness": 0.5})
    loop = a_loop(model, "full", data, min_positives=least, batch=1)
    loop.step(loop.images(loop.order.batch()))
    assert model.given == {"positives": expected, "centerness": 0.5}


@pytest.mark.parametrize(
    ("images", "repeats", "batch", "epochs", "expected"),
    [
        (5, 2, 4, 200, Length(250, 2, 500)),  # 200 * 10 // 4 steps, an evaluation every 500 // 200
        (5, 1, 4, 200, Length(250, 1, 250)),
        (8, 1, 4, 200, Length(200, 2, 400)),  # whole batches: as without
        (7, 3, 4, 200, Length(210, 5, 1050)),
        (7, 1, 4, 3, Length(5, 1, 5)),
        (9, 1, 4, 7, Length(8, 2, 15)),  # the last one is shorter
        (1, 1, 4, 200, Length(50, 1, 50)),
        (1, 1, 4, 1, Length(1, 1, 1)),
    ],
)
def test_steps_and_evaluations_as_official(images, repeats, batch, epochs, expected):
    """Steps = epochs x images x repeats // 4; evaluation every steps // epochs, and at the end."""
    recipe = dataclasses.replace(
        hyperparameters("odinw-glip-3", "full", 5), repeats_per_epoch=repeats, batch=batch, epochs=epochs
    )
    found = Length.of(images, recipe)
    assert found == expected
    assert sum(found.steps_of(n) for n in range(1, found.epochs + 1)) == found.total
    plain = Length.of(images, dataclasses.replace(recipe, count_steps=False))
    assert plain.epochs == epochs
    assert plain.steps == max(1, images * repeats // batch)


def test_the_loop_goes_by_the_official_count(data):  # noqa: F811
    """Six images in batches of four, three epochs: 4 steps of 1, where whole batches make 3."""
    prompt, train, validation = data
    recipe: Hyperparameters = settings(epochs=3, count_steps=True, scales=(0.7,))
    assert DataOrder(train.image_ids, recipe, 3).length == Length(4, 1, 4)
    tuned = tune(detector(), tuning.get_mode("prompt"), prompt, train, validation, recipe, seed=3)
    assert [line["steps"] for line in tuned.history] == [1, 2, 3, 4]
    assert all(line["validation_AP"] is not None for line in tuned.history)
