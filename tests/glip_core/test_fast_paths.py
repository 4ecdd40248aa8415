"""The absorbed fusion and the CPU sampling equal the plain formulas, forward and backward."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torchvision.ops import deform_conv2d

import glip_core
from glip_core import GLIP, Prompt, Targets, tuning
from glip_core.config import FusionConfig, get_config
from glip_core.modeling import cpu
from glip_core.modeling.cpu import disable_cpu_paths
from glip_core.modeling.deform import Levels, deform_conv
from glip_core.modeling.fusion import CrossAttention
from glip_core.modeling.sampling import output_size

from .reference import plain_cross_attention, plain_deform_conv, plain_formulation, sampling_nano


def gradients(outputs, inputs):
    weights = [torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape).sin() for out in outputs]
    loss = sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("shared_text", [True, False])
def test_absorbed_fusion_equals_the_plain_formula(shared_text):
    """In float64, so only the order of operations differs: 1e-10."""
    torch.manual_seed(0)
    layer = CrossAttention(vision_width=24, text_width=32, config=FusionConfig(width=64, heads=4, dropout=0.1)).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    layer.eval()
    texts = 1 if shared_text else 3
    vision = torch.randn(3, 50, 24, dtype=torch.double, requires_grad=True)
    text = torch.randn(texts, 7, 32, dtype=torch.double, requires_grad=True)
    mask = torch.ones(texts, 7, dtype=torch.bool)
    if not shared_text:
        mask[1, 5:] = False
    gamma = torch.randn(24, dtype=torch.double, requires_grad=True)
    inputs = [vision, text, gamma, *layer.parameters()]
    ours, plain = layer(vision, text, mask, gamma), plain_cross_attention(layer, vision, text, mask, gamma)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)
    for a, b in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_cpu_paths_can_be_switched_off(precision):
    """One switch for all; the general paths give the same up to rounding (bf16: 2^-9 in some thirty layers)."""
    detector, prompt = sampling_nano(), Prompt.from_classes(["fish", "stingray"])
    torch.manual_seed(2)
    pixels = torch.randn(1, 3, 256, 256)
    with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        ours = detector.forward_raw(pixels, prompt)
        with (
            mock.patch.object(cpu, "gather_and_multiply", side_effect=AssertionError),
            disable_cpu_paths(),
        ):
            general = detector.forward_raw(pixels, prompt)
        with pytest.raises(AssertionError), mock.patch.object(cpu, "gather_and_multiply", side_effect=AssertionError):
            detector.forward_raw(pixels, prompt)
    tolerance = 1e-3 if precision == torch.float32 else 0.1
    for a, b in zip(ours.logits, general.logits, strict=True):
        torch.testing.assert_close(a.float(), b.float(), atol=tolerance, rtol=tolerance)


def test_fusion_dropout_keeps_the_mean():
    torch.manual_seed(0)
    layer = CrossAttention(vision_width=8, text_width=8, config=FusionConfig(width=16, heads=2, dropout=0.5))
    vision, text, mask = torch.randn(1, 40, 8), torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    gamma = torch.ones(8)
    still = layer.eval()(vision, text, mask, gamma)
    layer.train()
    runs = [layer(vision, text, mask, gamma) for _ in range(400)]
    assert not runs[0][0].equal(runs[1][0])
    for i in (0, 1):
        mean = torch.stack([run[i] for run in runs]).mean(0)
        # 400 draws of about unit spread: a standard error of 0.05, five of them.
        torch.testing.assert_close(mean, still[i], atol=0.25, rtol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 6)])
def test_cpu_sampling_equals_the_definition(stride, size):
    torch.manual_seed(1)
    out = output_size(*size, stride)
    x = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    offsets = (torch.randn(2, 18, *out, dtype=torch.double) * 3).requires_grad_()  # many samples fall outside
    mask = torch.rand(2, 9, *out, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4, 6, 3, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(4, dtype=torch.double, requires_grad=True)
    inputs = [x, offsets, mask, weight, bias]
    (ours,) = deform_conv(Levels.to_sample([x]), [(offsets, mask)], weight, bias, stride=stride)
    plain = plain_deform_conv(x, offsets, mask, weight, bias, stride)
    torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-12)
    for a, b in zip(gradients([ours], inputs), gradients([plain], inputs), strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)


def test_cpu_sampling_equals_torchvision_over_several_chunks():
    torch.manual_seed(2)
    x, offsets, mask = torch.randn(1, 8, 70, 80), torch.randn(1, 18, 70, 80) * 2, torch.rand(1, 9, 70, 80)
    weight, bias = torch.randn(8, 8, 3, 3), torch.randn(8)
    (ours,) = deform_conv(Levels.to_sample([x]), [(offsets, mask)], weight, bias, stride=1)
    theirs = deform_conv2d(x, offsets, weight, bias, stride=1, padding=1, mask=mask)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)  # float32 sums of 72 products of size 1-10


def test_cpu_sampling_survives_absurd_offsets():
    x, weight, bias = torch.randn(1, 4, 5, 5), torch.randn(4, 4, 3, 3), torch.zeros(4)
    offsets = torch.full((1, 18, 5, 5), 1e9)
    (out,) = deform_conv(Levels.to_sample([x]), [(offsets, torch.ones(1, 9, 5, 5))], weight, bias, stride=1)
    assert out.equal(torch.zeros_like(out))


@pytest.fixture(scope="module")
def nano() -> GLIP:
    return sampling_nano()


def test_the_whole_network_equals_the_plain_formulation(nano):
    """Padded, projected and sampled as the official code does it, in float32: the oracle's tolerances."""
    pixels, prompt = torch.randn(2, 3, 96, 128), Prompt.from_classes(["fish", "stingray", "puffin"])
    with torch.no_grad():
        ours = nano.forward_raw(pixels, prompt)
        with plain_formulation():
            plain = nano.forward_raw(pixels, prompt)
    tokens = ours.logits[0].shape[-1]
    assert plain.logits[0].shape[-1] == 256 > tokens
    for a, b in zip(ours.logits, plain.logits, strict=True):
        torch.testing.assert_close(a, b[..., :tokens], atol=2e-4, rtol=1e-4)
    for a, b in zip(ours.box_deltas + ours.centerness, plain.box_deltas + plain.centerness, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_prompt_tuning_equals_the_plain_formulation(nano):
    """Losses and the offset's gradient: the network in float64, the losses themselves are float32, hence 1e-6."""
    torch.manual_seed(1)
    prompt = Prompt.from_classes(["fish", "stingray", "puffin"])
    pixels = torch.randn(1, 3, 96, 128, dtype=torch.double)
    targets = [Targets(torch.tensor([[5.0, 5, 40, 40], [50, 30, 120, 90]]).double(), torch.tensor([1, 2]))]
    detector = nano.double()
    (offset,) = tuning.get_mode("prompt").prepare(detector, prompt).values()
    with torch.no_grad():
        offset.normal_(std=0.1)
    found = []
    try:
        for formulation in (nullcontext, plain_formulation):
            with formulation():
                losses = detector.loss(pixels, targets, prompt)
                found.append([*losses.values(), *torch.autograd.grad(sum(losses.values()), [offset])])
    finally:
        detector.float().prompt_offset = None
    for ours, plain in zip(*found, strict=True):
        largest = float(plain.detach().abs().max())
        assert largest > 1e-3
        torch.testing.assert_close(ours, plain, atol=1e-6 * largest, rtol=1e-6)


@pytest.mark.parametrize("fusion", [True, False])
def test_checkpointing_changes_no_gradient_and_holds_less(fusion):
    """Dropout included: the second computation must throw the same dice. Bit for bit."""
    config = replace(get_config("glip-nano"), fusion=replace(get_config("glip-nano").fusion, dropout=0.2))
    torch.manual_seed(0)
    detector = glip_core.assemble(config if fusion else replace(config, fusion=None)).train()
    pixels, prompt = torch.randn(2, 3, 64, 96), Prompt.from_classes(["fish", "stingray"])
    targets = [Targets(torch.tensor([[5.0, 5, 40, 40]]), torch.tensor([1]))] * 2
    held, gradients_of = [], []
    for checkpointing in (False, True):
        detector.checkpointing = checkpointing
        detector.zero_grad()
        kept = 0

        def note(tensor):
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            total = sum(detector.loss(pixels, targets, prompt).values())
        total.backward()
        held.append(kept)
        gradients_of.append([p.grad for p in detector.parameters()])
    assert held[1] < held[0] / 2
    for a, b in zip(*gradients_of, strict=True):
        assert (a is None and b is None) or a.equal(b)
