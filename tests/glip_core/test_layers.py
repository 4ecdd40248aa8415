"""Our layers against those of transformers and timm, which have the same parameters by the same names."""

import subprocess
import sys

import pytest
import torch
from timm.models import swin_transformer
from transformers import BertConfig, BertModel

from glip_core.config import TextConfig
from glip_core.modeling.bert_layers import Bert
from glip_core.modeling.swin import WindowAttention
from glip_core.modeling.swin_parts import DropPath, PatchMerging, join_windows, split_windows

TEXT = TextConfig(width=48, layers=3, heads=4, feedforward=96, vocabulary=100, positions=64)


@pytest.fixture
def bert():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=TEXT.vocabulary,
        hidden_size=TEXT.width,
        num_hidden_layers=TEXT.layers,
        num_attention_heads=TEXT.heads,
        intermediate_size=TEXT.feedforward,
        max_position_embeddings=TEXT.positions,
        layer_norm_eps=1e-12,
    )
    theirs = BertModel(config, add_pooling_layer=False)
    ours = Bert(TEXT)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize("fused", [True, False])
def test_bert_equals_transformers(bert, fused):
    """Float32, three layers: sums in another order leave 1e-6."""
    ours, theirs = bert
    for layer in ours.encoder.layer:
        layer.attention.self.fused = fused
    ids = torch.randint(1, TEXT.vocabulary, (2, 17))
    mask = torch.arange(17)[None] < torch.tensor([[17], [9]])
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        assert torch.allclose(ours(ids, mask)[mask], expected[mask], atol=1e-5)
        alone = theirs(input_ids=ids).last_hidden_state
        assert torch.allclose(ours(ids), alone, atol=1e-5)


def test_the_dropout_of_bert_draws_as_that_of_transformers(bert):
    ours, theirs = (one.train() for one in bert)
    ids = torch.randint(1, TEXT.vocabulary, (2, 17))
    torch.manual_seed(1)
    expected = theirs(input_ids=ids).last_hidden_state
    torch.manual_seed(1)
    assert torch.allclose(ours(ids), expected, atol=1e-5)


def test_window_attention_equals_timms():
    torch.manual_seed(0)
    theirs = swin_transformer.WindowAttention(24, num_heads=3, window_size=4)
    torch.manual_seed(0)
    ours = WindowAttention(24, heads=3, window=4)
    assert torch.equal(ours.relative_position_index, theirs.relative_position_index)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name  # drawn alike, too
    x, mask = torch.randn(6, 16, 24), torch.randn(3, 16, 16)
    assert torch.allclose(ours(x, mask), theirs(x, mask), atol=1e-6)


@pytest.mark.parametrize("size", [(8, 12), (7, 5)])
def test_merging_and_windows_equal_timms(size):
    theirs, ours = swin_transformer.PatchMerging(6), PatchMerging(6)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, *size, 6)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    whole = torch.randn(2, 8, 12, 6)
    windows = split_windows(whole, 4)
    assert torch.equal(windows, swin_transformer.window_partition(whole, (4, 4)))
    assert torch.equal(join_windows(windows, 8, 12), whole)


def test_stochastic_depth_keeps_the_mean():
    layer, x = DropPath(0.25), torch.ones(4000, 2)
    torch.manual_seed(0)
    out = layer(x)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float(out.mean()) == pytest.approx(1, abs=0.05)  # four standard errors: 0.036
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.integration
def test_detecting_brings_no_large_package():
    """Torch alone: torchvision, timm and transformers take three times as long to import."""
    code = """
import sys, numpy, glip_core
detector = glip_core.load("glip-nano")
detector.predict(numpy.zeros((80, 80, 3), "uint8"), "fish. stingray")
sys.exit(str({"torchvision", "timm", "transformers", "scipy", "pandas", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
