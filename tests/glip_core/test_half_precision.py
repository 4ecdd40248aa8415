"""Half precision on a CPU has paths of its own; they stay as near to float32 as their eight bits allow."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import deform_conv2d

import glip_core
from glip_core import Prompt
from glip_core.config import get_config
from glip_core.modeling.deform import Levels, deform_conv
from glip_core.modeling.fusion import LanguageLayer
from glip_core.modeling.swin import WindowAttention
from glip_core.postprocess import class_scores


def share_of_error(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """Root mean square of the difference over that of the values."""
    a, b = (torch.cat([x.float().flatten() for x in side]) for side in (found, expected))
    return float(((a - b).square().mean() / b.square().mean()).sqrt())


@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_windows_loses_no_more_than_its_inputs(masked):
    """Queries, keys, values, the bias and the result are rounded to 2^-9 each; scores are not: measured 0.4 %."""
    torch.manual_seed(0)
    layer = WindowAttention(24, heads=3, window=4).eval()
    torch.nn.init.normal_(layer.relative_position_bias_table)
    x = torch.randn(20, 16, 24)
    mask = -100.0 * torch.randint(0, 2, (10, 16, 16)) if masked else None
    with torch.no_grad():
        expected = layer(x, mask=mask)
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x, mask=mask)
    assert share_of_error([found], [expected]) < 0.008


def test_positions_stay_exact_far_from_the_corner():
    """At column 500 bf16 would miss by whole pixels. Samples and weights in bf16 are good to 2^-8 each: 0.01."""
    torch.manual_seed(1)
    x, weight, bias = torch.randn(1, 16, 3, 600), torch.randn(4, 16, 3, 3), torch.zeros(4)
    offsets, mask = torch.rand(1, 18, 3, 600), torch.rand(1, 9, 3, 600)
    expected = deform_conv2d(x, offsets, weight, bias, padding=1, mask=mask)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (found,) = deform_conv(Levels.to_sample([x]), [(offsets, mask)], weight, bias, stride=1)
    assert found.dtype == torch.bfloat16
    assert share_of_error([found[..., 480:]], [expected[..., 480:]]) < 0.01


@pytest.mark.parametrize("size", [(96, 128), (100, 90)])  # whole windows, and windows that need padding
def test_a_trained_network_in_bf16(size):
    """Values good to 2^-9 = 0.2 %, rounded in each of some thirty layers in a row: measured 1.4 %."""
    detector, prompt = glip_core.load("glip-nano"), Prompt.from_classes(["fish", "stingray"])
    torch.manual_seed(2)
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = detector.forward_raw(pixels, prompt)
        with torch.autocast("cpu", torch.bfloat16):
            found = detector.forward_raw(pixels, prompt)
    for field in ("logits", "box_deltas", "centerness"):
        assert share_of_error(getattr(found, field), getattr(expected, field)) < 0.03


@torch.no_grad()
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["glip-nano", "dyhead-nano"])
def test_positions_keep_their_order(name, precision):
    """Logits and class scores of half precision are few different ones: the best of 4,096 positions share theirs."""
    detector = glip_core.build(name, num_classes=None if name == "glip-nano" else 2)
    torch.manual_seed(3)
    maps = [torch.randn(1, detector.config.channels, 64, 64).to(precision)]
    text = () if name == "dyhead-nano" else (detector.encode_text(Prompt.from_classes(["fish", "stingray"])).hidden,)
    with torch.autocast("cpu", precision):
        (logits,) = detector.head(maps, *text).logits
        scores = class_scores(logits[0].float(), [[0], [0, 1]])
    assert logits.dtype == scores.dtype == torch.float32
    for values in (logits[0, :, 0], scores[:, 1]):
        assert len(values.unique()) > 0.95 * len(values)
    assert scores.equal(class_scores(logits[0], [[0], [0, 1]]))
    (exact,) = detector.head([maps[0].float()], *text).logits
    assert share_of_error([logits], [exact]) < 0.005  # the words are rounded: to 2^-9 in bf16


@pytest.mark.parametrize("name", ["glip-nano", "dyhead-nano"])
def test_a_float32_graph_has_no_trace_of_autocast(name):
    """What is exported, and its speed, stay as they are."""
    detector = glip_core.build(name, num_classes=None if name == "glip-nano" else 2)
    inputs = ([torch.zeros(1, detector.config.channels, 4, 4)],)
    inputs += () if name == "dyhead-nano" else (detector.encode_text(Prompt.from_classes(["fish"])).hidden,)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = detector.head

        def forward(self, *given):
            return self.head(*given).logits

    graph = str(torch.export.export(Logits(), inputs, strict=False).graph)
    assert ("matmul" if name == "glip-nano" else "conv2d") in graph
    assert not [word for word in ("autocast", "aten.to", "_to_copy") if word in graph]


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_gradients_of_the_alignment_in_half_precision(precision):
    """The float32 products hand the gradient of a scaled loss on to maps of half precision."""
    head = glip_core.build("glip-nano").head
    torch.manual_seed(4)
    text, found = torch.randn(1, 3, head.bias_lang.shape[0]), []
    maps = torch.randn(1, head.projection.out_features, 8, 8)
    for kind in (torch.float32, precision):
        x = maps.detach().to(kind).requires_grad_()
        with torch.autocast("cpu", precision, enabled=kind != torch.float32):
            (logits,) = head([x], text).logits
        (logits.sigmoid().float().square().sum() * 1024).backward()
        found.append(x.grad)
    assert share_of_error([found[1]], [found[0]]) < 0.01


@pytest.fixture
def language_layer() -> tuple[LanguageLayer, torch.Tensor, torch.Tensor]:
    """One of the tower's language layers, three tokens' features and their mask."""
    torch.manual_seed(0)
    text = get_config("glip-nano").text
    return LanguageLayer(text).eval(), torch.randn(1, 3, text.width), torch.ones(1, 3, dtype=torch.bool)


def without_clamps(layer: LanguageLayer) -> LanguageLayer:
    for part in (layer.layer.intermediate, layer.layer.output):
        part.limit = None
    return layer


@torch.no_grad()
def test_the_towers_language_layers_stay_finite_where_float16_ends(language_layer):
    """Values over 65504 are infinite in fp16, and no numbers behind LayerNorm; the official clamp is at 50000."""
    layer, text, mask = language_layer
    layer.layer.intermediate.dense.weight.mul_(3e5)
    layer.layer.output.dense.weight.mul_(3e3)
    with torch.autocast("cpu", torch.float16):
        assert layer(text, mask).isfinite().all()
        assert not without_clamps(layer)(text, mask).isfinite().all()


@torch.no_grad()
def test_the_clamps_change_nothing_in_float32(language_layer):
    layer, text, mask = language_layer
    found = layer(text, mask)
    assert without_clamps(layer)(text, mask).equal(found)
