"""Low-rank adaptation: every adapted layer changes the output and gets a gradient, fused or absorbed as it may be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import glip_core
from glip_core import Prompt
from glip_core.modeling import low_rank

PROMPT = Prompt.from_classes(["dog", "cat"])


def adaptable(detector: nn.Module) -> dict[str, nn.Module]:
    """Every linear and convolutional layer."""
    return {name: layer for name, layer in detector.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def outputs(detector: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    raw = detector.forward_raw(pixels, PROMPT)
    return torch.cat([part.flatten() for part in (*raw.logits, *raw.box_deltas, *raw.centerness)])


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[False, True], ids=["lora", "dora"])
def adapted(request):
    torch.manual_seed(0)
    detector = glip_core.load("glip-nano").eval()
    low_rank.adapt(adaptable(detector).values(), rank=2, alpha=4, decomposed=request.param)
    return detector


def test_nothing_changes_before_training(adapted, pixels):
    # DoRA divides by the length that it multiplies with: rounding only, relative to outputs of a few units.
    assert torch.allclose(outputs(adapted, pixels), outputs(glip_core.load("glip-nano").eval(), pixels), atol=1e-4)


def test_every_layer_gets_a_gradient_and_changes_the_output(adapted, pixels):
    found = outputs(adapted, pixels)
    found.square().sum().backward()
    updates = {name: value for name, value in adapted.named_parameters() if name.endswith(low_rank.UP)}
    assert len(updates) == len(adaptable(adapted))
    assert [name for name, value in updates.items() if value.grad is None or not value.grad.any()] == []
    without_effect = []
    with torch.no_grad():
        for name, value in updates.items():
            value.fill_(0.1)
            if torch.equal(outputs(adapted, pixels), found):
                without_effect.append(name)
            value.zero_()
    assert without_effect == []


def test_a_merged_model_is_an_ordinary_one(adapted, pixels):
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if name.endswith(low_rank.UP):
                value.normal_(0, 0.02, generator=torch.Generator().manual_seed(1))
    before = outputs(adapted, pixels)
    base = glip_core.load("glip-nano").eval()
    assert not torch.allclose(before, outputs(base, pixels), atol=1e-2)
    low_rank.merge(adapted)
    assert torch.equal(outputs(adapted, pixels), before)
    assert adapted.state_dict().keys() == base.state_dict().keys()


def test_what_was_adapted_can_be_what_it_was(adapted, pixels):
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if name.endswith(low_rank.UP):
                value.fill_(1)
    low_rank.remove(adapted)
    assert torch.equal(outputs(adapted, pixels), outputs(glip_core.load("glip-nano").eval(), pixels))


def test_the_rank_is_cut_to_the_weights_own():
    layer = nn.Linear(3, 5)
    low_rank.adapt([layer], rank=64, alpha=64)
    assert layer.parametrizations.weight[0].lora_A.shape == (3, 3)
    assert low_rank.is_adapted(layer)
