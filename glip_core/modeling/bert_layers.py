"""The layers of BERT (Devlin et al. 2019): post-norm transformer layers with learned positions.

Written out here rather than taken from transformers, whose import takes longer than a small model's detection; names of
parameters are those of its checkpoints. Dropout draws in the same order as there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.config import TextConfig

_EPS = 1e-12
_SPREAD = 0.02
"""Standard deviation of weights before any training (Devlin et al. 2019)."""


class Embeddings(nn.Module):
    """Token ids -> vectors: word, position and (always the first) segment, normed."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(2, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """``[B, T]`` -> ``[B, T, D]``."""
        segment, positions = self.token_type_embeddings.weight[0], self.position_embeddings.weight[: ids.shape[1]]
        out: Tensor = self.dropout(self.LayerNorm(self.word_embeddings(ids) + segment + positions))
        return out


class SelfAttention(nn.Module):
    """Multi-head attention of the tokens of a text.

    Attributes:
        fused: compute by torch's fused kernel; else write the scores out, with the dropout layer's own draws.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.fused = config.heads, True
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, T, D]`` and a mask as :class:`Layer` takes it -> ``[B, T, D]``."""
        q, k, v = (self._split(layer(text)) for layer in (self.query, self.key, self.value))  # (B, h, T, d) each
        scale = q.shape[-1] ** -0.5
        if self.fused:
            rate = self.dropout.p if self.training else 0.0
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate, scale=scale)
        else:
            scores = q @ k.mT * scale
            if mask is not None:
                scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            out = self.dropout(scores.softmax(-1)) @ v
        return out.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """``[B, T, D]`` -> ``[B, h, T, d]``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Residual(nn.Module):
    """A linear layer, dropout, and the norm of the sum with what went around.

    Args:
        inputs: width of what comes in.
        config: the width that goes out, and the dropout.
        limit: values of the linear layer and of the result are clamped to ± this; None: they are not.
    """

    def __init__(self, inputs: int, config: TextConfig, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.dense = nn.Linear(inputs, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, around: Tensor) -> Tensor:
        """``[B, T, inputs]`` and ``[B, T, D]`` -> ``[B, T, D]``."""
        out = self.dropout(_clamp(self.dense(x), self.limit))
        return _clamp(self.LayerNorm(out + around), self.limit)


class Attention(nn.Module):
    """Self-attention with its residual."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = Residual(config.width, config)

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, T, D]`` -> ``[B, T, D]``."""
        out: Tensor = self.output(self.self(text, mask), text)
        return out


class Intermediate(nn.Module):
    """The wide half of the feed-forward part, with the exact (erf) GELU."""

    def __init__(self, config: TextConfig, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.dense = nn.Linear(config.width, config.feedforward)

    def forward(self, text: Tensor) -> Tensor:
        """``[B, T, D]`` -> ``[B, T, feedforward]``."""
        return _clamp(F.gelu(_clamp(self.dense(text), self.limit)), self.limit)


class Layer(nn.Module):
    """One layer: attention, then the feed-forward part.

    Args:
        config: widths, heads, dropout.
        limit: of the values around the feed-forward part; None: there is none.
    """

    def __init__(self, config: TextConfig, *, limit: float | None = None) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config, limit)
        self.output = Residual(config.feedforward, config, limit)

    def forward(self, text: Tensor, mask: Tensor | None = None) -> Tensor:
        """Let the tokens attend to each other.

        Args:
            text: ``[B, T, D]``.
            mask: bool, broadcast to ``[B, heads, T, T]``: False where a token (last) may not be looked at.

        Returns:
            ``[B, T, D]``.
        """
        attended = self.attention(text, mask)
        out: Tensor = self.output(self.intermediate(attended), attended)
        return out


class Encoder(nn.Module):
    """All layers, one after the other."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, T, D]`` -> ``[B, T, D]``."""
        for layer in self.layer:
            text = layer(text, mask)
        return text


class Bert(nn.Module):
    """Token ids -> the last layer's vectors."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.apply(_initialise)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode texts.

        Args:
            ids: ``[B, T]``.
            mask: bool ``[B, T]``, False at padding; None: there is none.

        Returns:
            ``[B, T, D]``.
        """
        out: Tensor = self.encoder(self.embeddings(ids), None if mask is None else mask[:, None, None, :])
        return out


def _initialise(module: nn.Module) -> None:
    """Weights as before BERT's own training; norms keep 1 and 0."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=_SPREAD)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=_SPREAD)
        if module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])


def _clamp(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else x.clamp(-limit, limit)
