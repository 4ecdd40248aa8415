"""Plain formulas, slow and obvious, that the fast paths are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

import glip_core
from glip_core import GLIP, EncodedPrompt, Prompt, TextFeatures
from glip_core.config import get_config
from glip_core.modeling import deform
from glip_core.modeling.cpu import PixelLinear
from glip_core.modeling.deform import Levels
from glip_core.modeling.fusion import CrossAttention


def plain_cross_attention(
    layer: CrossAttention, vision: Tensor, text: Tensor, mask: Tensor, gamma: Tensor
) -> tuple[Tensor, Tensor]:
    """Bi-directional attention as the paper writes it: project everything, then attend both ways."""
    heads = layer.heads

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, h, *, d)

    batch = vision.shape[0]
    text, mask = text.expand(batch, -1, -1), mask.expand(batch, -1)
    queries, keys = split(layer.vision_query(vision)) * layer.scale, split(layer.text_key(text))
    scores = queries @ keys.mT  # (B, h, N, T)
    hidden = ~mask[:, None, None, :]
    to_vision = scores.masked_fill(hidden, -9e15).softmax(-1)
    to_text = scores.mT.softmax(-1)  # (B, h, T, N)
    vision_update = to_vision @ split(layer.text_value(text))
    text_update = to_text @ split(layer.vision_value(vision))
    merge = lambda x: x.transpose(1, 2).flatten(2)  # noqa: E731
    return vision + gamma * layer.vision_out(merge(vision_update)), layer.text_out(merge(text_update))


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, **options: Any
) -> Tensor:
    """Attention with its scores written down, as Swin and BERT define it."""
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = query * scale @ key.mT
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return F.dropout(scores.softmax(-1), dropout_p) @ value


def plain_deform_conv(x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """DCNv2 with four nested loops over taps and corners, any float type."""
    batch, channels, height, width = x.shape
    out_h, out_w = offsets.shape[-2:]
    out = bias[None, :, None, None].expand(batch, -1, out_h, out_w).clone()
    rows = torch.arange(out_h)[:, None].expand(out_h, out_w)
    columns = torch.arange(out_w)[None].expand(out_h, out_w)
    for b in range(batch):
        for tap in range(9):
            y = rows * stride - 1 + tap // 3 + offsets[b, 2 * tap]
            x_ = columns * stride - 1 + tap % 3 + offsets[b, 2 * tap + 1]
            sample = x.new_zeros(channels, out_h, out_w)
            for dy in (0, 1):
                for dx in (0, 1):
                    yi, xi = y.floor() + dy, x_.floor() + dx
                    share = (1 - (y - yi).abs()) * (1 - (x_ - xi).abs())
                    inside = (yi >= 0) & (yi < height) & (xi >= 0) & (xi < width)
                    value = x[b, :, yi.clamp(0, height - 1).long(), xi.clamp(0, width - 1).long()]
                    sample = sample + value * torch.where(inside, share, 0.0)
            sample = sample * mask[b, tap]
            out[b] += torch.einsum("oc,chw->ohw", weight[:, :, tap // 3, tap % 3], sample)
    return out


def plain_encode_language(detector: GLIP, prompt: Prompt) -> TextFeatures:
    """The prompt padded to the model's full length and encoded every time, as the official code does."""
    language = detector.language
    ids = language.tokenize(prompt).ids
    padded = torch.zeros(1, language.config.max_tokens, dtype=torch.long)
    padded[0, : len(ids)] = torch.tensor(ids)
    mask = torch.arange(language.config.max_tokens)[None] < len(ids)
    padded, mask = padded.to(detector.device), mask.to(detector.device)
    hidden = language.encoder(padded, mask)
    return TextFeatures(embedded=hidden * mask[..., None], hidden=hidden, mask=mask)


def plain_encode_text(detector: GLIP, prompt: Prompt | EncodedPrompt) -> TextFeatures:
    """The padded features plus the tuned offset, which padding has none of; what is encoded already is not used."""
    text = plain_encode_language(detector, prompt.prompt if isinstance(prompt, EncodedPrompt) else prompt)
    if detector.prompt_offset is None:
        return text
    offset = F.pad(detector.prompt_offset, (0, 0, 0, text.hidden.shape[1] - len(detector.prompt_offset)))
    return TextFeatures(text.embedded + offset, text.hidden + offset, text.mask)


def plain_token_mask(detector: GLIP, prompts: Sequence[Prompt], width: int, device: torch.device) -> Tensor:
    """Padding does not count in the loss."""
    lengths = torch.tensor([len(detector.language.tokenize(prompt).ids) for prompt in prompts], device=device)
    return torch.arange(width, device=device) < lengths[:, None]


def sampling_nano() -> GLIP:
    """A small GLIP with deformable convolutions whose samples fall between pixels."""
    torch.manual_seed(0)
    detector = glip_core.assemble(replace(get_config("glip-nano"), deformable=True))
    assert isinstance(detector, GLIP)
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if "offset" in name:
                parameter.normal_(std=0.05)
    return detector.eval()


@contextmanager
def plain_formulation() -> Iterator[None]:
    """Every detector computes by the plain formulas while the block runs: padding, projections, torchvision's sampling.

    What is official and slow; the fast paths must give the same and be timed against it.
    """

    def torchvision_sampling(levels, samplings, weight, bias, *, stride):
        return [
            deform_conv2d(x, offsets, weight, bias, stride=stride, padding=1, mask=mask)
            for x, (offsets, mask) in zip(levels.maps, samplings, strict=True)
        ]

    with (
        mock.patch.object(CrossAttention, "forward", plain_cross_attention),
        mock.patch.object(PixelLinear, "forward", nn.Linear.forward),
        mock.patch.object(F, "scaled_dot_product_attention", plain_attention),
        mock.patch.object(GLIP, "encode_text", plain_encode_text),
        mock.patch.object(GLIP, "_token_mask", plain_token_mask),
        mock.patch.object(deform, "deform_conv", torchvision_sampling),
        mock.patch.object(Levels, "to_sample", Levels),  # without the table, which is ours
    ):
        yield
