"""Language-aware deep fusion: image and text attend to each other between the blocks of the head (GLIP, section 3.2).

The official formulation projects every pixel to 2048 dimensions three times a layer. With T tokens and h heads a
score is ``(x Wq_h) (t Wk_h)^T = x (Wq_h (t Wk_h)^T)``: multiplying the small matrices first, a pixel meets one
``C x hT`` matrix instead, and likewise on the way out and for the text's side. The pixel-side work is then
``3 N C h T`` multiplications, less than the plain ``3 N C E + 3 N E T`` for any T, since ``E = h C`` in GLIP.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.config import FusionConfig, TextConfig
from glip_core.modeling import cpu
from glip_core.modeling.bert_layers import Layer

_LARGEST = 50000.0  # the official clamp of scores and features; it guards half precision


class CrossAttention(nn.Module):
    """Bi-directional attention: one score matrix, normalised over tokens for the image, over positions for the text."""

    def __init__(self, *, vision_width: int, text_width: int, config: FusionConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.scale = (width // config.heads) ** -0.5
        self.vision_query = nn.Linear(vision_width, width)
        self.text_key = nn.Linear(text_width, width)
        self.vision_value = nn.Linear(vision_width, width)
        self.text_value = nn.Linear(text_width, width)
        self.vision_out = nn.Linear(width, vision_width)
        self.text_out = nn.Linear(width, text_width)
        for layer in (self.vision_query, self.text_key, self.vision_value, self.text_value):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.vision_out, self.text_out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, vision: Tensor, text: Tensor, mask: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """Let image and text attend to each other.

        Args:
            vision: ``[B, N, C]``, all positions of all levels.
            text: ``[B, T, D]`` or ``[1, T, D]`` for a text that all images share.
            mask: bool ``[B or 1, T]``, False at padding tokens.
            gamma: the layer scale of the image's side, ``[C]``.

        Returns:
            ``vision`` plus the scaled update of each position from the text, ``[B, N, C]``; and the update of each
            token from the image, ``[B, T, D]``.
        """
        batch, heads = vision.shape[0], self.heads
        kind = vision.device.type
        if torch.is_autocast_enabled(kind):
            vision = vision.to(torch.get_autocast_dtype(kind))  # once, not in each product below
        keys = self._split(self.text_key(text))  # (P, h, T, d)
        query_weight = self.vision_query.weight.unflatten(0, (heads, -1))  # (h, d, C)
        query_bias = self.vision_query.bias.unflatten(0, (heads, 1, -1))  # (h, 1, d)
        absorbed = keys @ query_weight * self.scale  # (P, h, T, C)
        offset = (keys * query_bias).sum(-1) * self.scale  # (P, h, T)
        absorbed, offset = absorbed.flatten(1, 2).expand(batch, -1, -1), offset.flatten(1)[..., None]
        # Positions last in memory: both softmaxes then read long rows; one short row per position would be slow.
        if cpu.use_rows_of_positions(vision):
            scores = torch.baddbmm(offset.mT, vision, absorbed.mT).mT.contiguous()
        else:
            scores = torch.baddbmm(offset, absorbed, vision.mT)
        scores = scores.clamp(-_LARGEST, _LARGEST).unflatten(1, (heads, -1))  # (B, h, T, N)
        to_vision, to_text = self._attention_weights(scores, mask)

        out_weight = self.vision_out.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)  # (h, d, C)
        values = self._split(self.text_value(text)) @ out_weight  # (P, h, T, C)
        # The layer scale is multiplied into the small matrix, and the residual added within the product.
        values = (values.flatten(1, 2) * gamma).expand(batch, -1, -1)  # (B, h * T, C)
        fused = vision + (gamma * self.vision_out.bias).to(vision.dtype)  # (B, N, C)
        fused.baddbmm_(to_vision.flatten(1, 2).mT, values.to(fused.dtype))

        gathered = (to_text.flatten(1, 2) @ vision).unflatten(1, (heads, -1))  # (B, h, T, C)
        value_weight = self.vision_value.weight.unflatten(0, (heads, -1)).mT  # (h, C, d)
        value_bias = self.vision_value.bias.unflatten(0, (heads, 1, -1))  # (h, 1, d)
        received = to_text.sum(-1, keepdim=True)  # (B, h, T, 1): 1, but for dropout
        text_update = gathered @ value_weight + received * value_bias  # (B, h, T, d)
        text_update = self.text_out(text_update.transpose(1, 2).reshape(batch, text.shape[1], -1))
        return fused, text_update

    def _attention_weights(self, scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, h, T, N]`` -> the weight of each token for each position, and of each position for each token.

        The first is a softmax over the real tokens, the second one over all positions of all levels, padded image
        area included. Half precision stays half: the kernels sum in float32 by themselves.
        """
        with torch.autocast(scores.device.type, enabled=False):
            shown = scores if cpu.has_no_padding(mask) else scores.masked_fill(~mask[:, None, :, None], -torch.inf)
            to_vision, to_text = shown.softmax(2), scores.softmax(3)
        return F.dropout(to_vision, self.dropout, self.training), F.dropout(to_text, self.dropout, self.training)

    def _split(self, x: Tensor) -> Tensor:
        """``[P, T, E]`` -> ``[P, h, T, d]``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Fusion(nn.Module):
    """Cross attention with layer norms and layer scale; residuals are added to the *normed* features."""

    def __init__(self, *, vision_width: int, text_width: int, config: FusionConfig, layer_scale: float) -> None:
        super().__init__()
        self.norm_vision = nn.LayerNorm(vision_width)
        self.norm_text = nn.LayerNorm(text_width)
        self.attention = CrossAttention(vision_width=vision_width, text_width=text_width, config=config)
        self.gamma_vision = nn.Parameter(torch.full((vision_width,), layer_scale))
        self.gamma_text = nn.Parameter(torch.full((text_width,), layer_scale))

    def forward(self, levels: list[Tensor], text: Tensor, mask: Tensor) -> tuple[list[Tensor], Tensor]:
        """Maps ``[B, C, H, W]`` and text ``[B or 1, T, D]`` -> fused maps and text ``[B, T, D]``."""
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        vision = torch.cat([level.flatten(2).mT for level in levels], dim=1)  # (B, N, C)
        vision, text = self.norm_vision(vision), self.norm_text(text)
        vision, text_update = self.attention(vision, text, mask, self.gamma_vision)
        text = text + self.gamma_text * text_update
        parts = vision.split([h * w for h, w in sizes], dim=1)
        # Views with channels last in memory: convolutions take them as they are.
        fused = [part.unflatten(1, size).permute(0, 3, 1, 2) for part, size in zip(parts, sizes, strict=True)]
        return fused, text


class LanguageLayer(nn.Module):
    """One BERT layer in which the fused tokens attend to each other.

    Around its feed-forward values are clamped as in the official code, so that what is too large for half precision
    does not become infinite there; in float32 that has no effect.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.layer = Layer(config, limit=_LARGEST)

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """``[B, T, D]`` and bool ``[B or 1, T]`` -> ``[B, T, D]``."""
        out: Tensor = self.layer(text, None if cpu.has_no_padding(mask) else mask[:, None, None, :])
        return out
