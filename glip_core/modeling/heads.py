"""The heads: word-region alignment or class scores, box offsets and centerness."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.modeling.dyhead import small_conv
from glip_core.types import RawOutputs

_LARGEST = 50000.0
PRIOR = 0.01
"""Score that every position starts with (Lin et al. 2017, section 4.1)."""


def _pixels(level: Tensor) -> Tensor:
    """``[B, C, H, W]`` -> ``[B, H*W, C]``, row-major."""
    return level.flatten(2).mT


def prior_bias() -> float:
    """The logit of :data:`PRIOR`."""
    return -math.log((1 - PRIOR) / PRIOR)


class BoxHead(nn.Module):
    """Box offsets and centerness from the same features, by 1x1 convolutions."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.bbox_pred = small_conv(channels, 4, 1)
        self.centerness = small_conv(channels, 1, 1)
        self.scales = nn.ParameterList(torch.ones(1) for _ in range(levels))

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps -> per level ``[B, 4, H, W]`` offsets (scaled by a learnt factor) and ``[B, 1, H, W]`` logits."""
        deltas = [self.scales[i] * self.bbox_pred(x) for i, x in enumerate(levels)]
        return deltas, [self.centerness(x) for x in levels]


class AlignmentHead(nn.Module):
    """Word-region alignment: a position's logit for a token is a dot product (GLIP paper, equations 3 and 4).

    Under autocast these products, under 1 % of the network's, are computed in float32: rounded to the eight bits of
    bf16, many positions share a logit, and their order is lost.
    """

    def __init__(self, *, channels: int, text_width: int, boxes: BoxHead) -> None:
        super().__init__()
        self.projection = nn.Linear(text_width, channels)
        self.log_scale = nn.Parameter(torch.zeros(1))
        self.bias_lang = nn.Parameter(torch.zeros(text_width))
        self.bias0 = nn.Parameter(torch.full((1,), prior_bias()))
        self.boxes = boxes

    def forward(self, levels: list[Tensor], text: Tensor) -> RawOutputs:
        """Maps ``[B, C, H, W]`` and token features ``[B or 1, T, D]`` -> logits, offsets, centerness."""
        words = F.normalize(text, dim=-1, eps=1e-12)
        tokens = self.projection(words / 2) / self.log_scale.exp()  # (P, T, C)
        parts = (words, tokens, self.bias_lang, self.bias0)
        if torch.is_autocast_enabled(text.device.type):
            with torch.autocast(text.device.type, enabled=False):
                logits = _alignment([x.float() for x in levels], *(part.float() for part in parts))
        else:
            logits = _alignment(levels, *parts)
        deltas, centerness = self.boxes(levels)
        return RawOutputs(logits=logits, box_deltas=deltas, centerness=centerness)


def _alignment(levels: list[Tensor], words: Tensor, tokens: Tensor, bias_lang: Tensor, bias0: Tensor) -> list[Tensor]:
    """Maps ``[B, C, H, W]``, words ``[P, T, D]`` and their projections ``[P, T, C]`` -> logits ``[B, H*W, T]``."""
    bias = words @ bias_lang + bias0  # (P, T)
    return [(_pixels(x) @ tokens.mT + bias[:, None]).clamp(-_LARGEST, _LARGEST) for x in levels]


class ClassHead(nn.Module):
    """One logit per class and position: the closed-set baseline. Under autocast in float32, see AlignmentHead."""

    def __init__(self, *, channels: int, num_classes: int, boxes: BoxHead) -> None:
        super().__init__()
        self.cls_logits = small_conv(channels, num_classes, 1, bias=prior_bias())
        self.boxes = boxes

    def forward(self, levels: list[Tensor]) -> RawOutputs:
        """Maps ``[B, C, H, W]`` -> logits ``[B, H*W, classes]``, offsets, centerness."""
        deltas, centerness = self.boxes(levels)
        kind = levels[0].device.type
        if torch.is_autocast_enabled(kind):
            with torch.autocast(kind, enabled=False):
                logits = [_pixels(self.cls_logits(x.to(self.cls_logits.weight.dtype))) for x in levels]
        else:
            logits = [_pixels(self.cls_logits(x)) for x in levels]
        return RawOutputs(logits=logits, box_deltas=deltas, centerness=centerness)
