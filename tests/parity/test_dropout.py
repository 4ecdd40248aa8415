"""Where dropout acts in training: a draw for each image, and in the tower of the linear probe.

The official draws themselves cannot be compared: they come from CUDA's generators, and nothing of them is stored. What
can be: with rates of 0 the numbers are the official ones in the same state of training, and with fixed draws a batch of
three images is three official processes with one image each.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import count

import pytest
import torch
from torch import nn

from glip_core import tuning
from glip_core.modeling.bert_layers import SelfAttention
from glip_core.modeling.fusion import CrossAttention
from odinw_bench.models.glip import GlipModel
from odinw_bench.models.inputs import PreparedImage

from .conftest import Subject
from .oracle import Case
from .test_training import expected_losses


@pytest.fixture(scope="module")
def subject(subjects) -> Subject:
    return subjects("glip_t")


@pytest.fixture(scope="module")
def train(parity) -> Case:
    return Case(parity, "glip_t_train")


def set_rates(module: nn.Module, rate: float) -> None:
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = rate
        if isinstance(part, CrossAttention):
            part.dropout = rate


@pytest.fixture
def model(subject):
    yield GlipModel(subject.detector)
    set_rates(subject.detector, subject.detector.config.text.dropout)
    subject.detector.eval()


class Draws:
    """Dropout whose masks depend on the image and on the place in the network alone."""

    def __init__(self, monkeypatch) -> None:
        monkeypatch.setattr(torch.nn.functional, "dropout", self)
        self.begin([])

    def begin(self, images: list[int]) -> None:
        """The rows of the batches to come."""
        self.images, self.places = images, count()

    def __call__(self, x, p=0.5, training=True, inplace=False):
        if not training or p == 0:
            return x
        assert len(x) == len(self.images), "one draw for all"
        place = next(self.places)
        masks = []
        for image in self.images:
            draw = torch.Generator().manual_seed(1000 * image + place)
            masks.append(torch.rand(x.shape[1:], generator=draw) >= p)
        return x * torch.stack(masks) / (1 - p)


@torch.no_grad()
def test_three_images_with_berts_dropout_are_three_processes(subject, train, model, monkeypatch):
    """Losses of one pass against those of a pass per image, over the same normalisers; float32 leaves 1e-4."""
    mode, (target,) = tuning.get_mode("language"), subject.targets(train)
    model.trainable(mode, subject.prompt)
    attention = [part for part in subject.detector.language.modules() if isinstance(part, SelfAttention)]
    for part in attention:
        part.fused = False  # the fused kernel draws by itself
    hw = tuple(subject.case.facts["padded_hw"])
    pixels = (subject.pixels, subject.pixels.flip(-1), 0.5 * subject.pixels)
    features = [model.features(mode, PreparedImage(one, hw), subject.prompt) for one in pixels]
    total = Counter()
    for one in features:
        total.update(model.normalisers(one, target))
    model.text_per_image = True
    model.train()
    try:
        draws = Draws(monkeypatch)
        draws.begin([0, 1, 2])
        together = model.losses(features, [target] * 3, subject.prompt, total)
        apart, texts = Counter(), []
        hook = subject.detector.language.register_forward_hook(lambda *call: texts.append(call[-1].hidden))
        for image, one in enumerate(features):
            draws.begin([image])
            apart.update({k: float(v) for k, v in model.losses([one], [target], subject.prompt, total).items()})
        hook.remove()
        assert float((texts[0] - texts[1]).abs().max()) > 0.1  # the draws differ
        for name, value in together.items():
            assert float(value) == pytest.approx(apart[name], rel=1e-4), name
        model.text_per_image = False
        draws.begin([0, 1, 2])
        with pytest.raises(AssertionError, match="one draw for all"):
            model.losses(features, [target] * 3, subject.prompt, total)

        set_rates(subject.detector, 0.0)  # and then three times the official image has the official loss
        model.text_per_image = True
        total = Counter({name: 3 * value for name, value in model.normalisers(features[0], target).items()})
        losses = model.losses([features[0]] * 3, [target] * 3, subject.prompt, total)
        for name, value in expected_losses(train.facts["losses_full"]).items():
            assert float(losses[name]) == pytest.approx(value, rel=1e-4), name
    finally:
        for part in attention:
            part.fused = True


def test_the_linear_probe_with_dropout_in_the_tower(subject, train, model, parity):
    """Fusion and language layers draw, nothing else; with rates of 0 the first step is the official one."""
    stored = json.loads((parity / "tuning_trajectories.json").read_text())["glip_t/linear_prob"]
    detector, targets = subject.detector, subject.targets(train)
    mode = tuning.get_mode("linear").with_tower_dropout()
    trainable = mode.prepare(detector, subject.prompt)
    assert len(trainable) == 9
    mode.train(detector)
    drawing = {
        name.split(".", 2)[2]
        for name, part in detector.named_modules()
        if part.training and isinstance(part, nn.Dropout | CrossAttention)
    }
    assert drawing == {
        "fusion.attention",
        "language.layer.attention.self.dropout",
        "language.layer.attention.output.dropout",
        "language.layer.output.dropout",
    }
    assert not any(part.training for name, part in detector.named_modules() if name and not name.startswith("tower"))
    with torch.no_grad():
        levels, text = detector.encode_image(subject.pixels), detector.encode_text(subject.prompt)

    def losses():
        with torch.no_grad():
            maps, fused = detector.run_tower(levels, text)
        return detector.losses_from_raw(detector.run_heads(maps, fused), targets, subject.prompt)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = (sum(float(value.detach()) for value in losses().values()) for _ in range(2))
    set_rates(detector, 0.0)
    found, step = losses(), stored["steps_float32"][0]
    for name, value in expected_losses(step).items():
        assert float(found[name].detach()) == pytest.approx(value, rel=1e-4), name
    sum(found.values()).backward()
    norm = torch.nn.utils.clip_grad_norm_(list(trainable.values()), 1.0)
    assert float(norm) == pytest.approx(step["grad_norm_before_clip"], rel=1e-4)
    for parameter in trainable.values():
        parameter.grad = None
    quiet = sum(float(value.detach()) for value in found.values())
    assert len({first, second, quiet}) == 3
