"""Attention within windows in half precision on a CPU: a few windows at a time, whose scores the caches hold."""

from __future__ import annotations

import torch
from timm.models.swin_transformer import WindowAttention
from torch import Tensor

_SCORES = 1 << 18  # per thread at a time: 1 MB in float32, about a core's second cache


def attend(attention: WindowAttention, windows: Tensor, mask: Tensor | None) -> Tensor:
    """What ``attention(windows, mask)`` returns, without dropout; for use without gradients.

    Torch's own attention is the faster one in float32, the slower one in half precision.

    Args:
        attention: a layer of timm, for its weights.
        windows: ``[images * windows, tokens, C]``, an image's windows together.
        mask: additive, ``[windows, tokens, tokens]``, or None.

    Returns:
        ``[images * windows, tokens, C]``.
    """
    count, tokens, _ = windows.shape
    heads = attention.num_heads
    qkv = attention.qkv(windows).unflatten(-1, (3, heads, -1))  # (images * windows, tokens, 3, heads, d)
    bias = attention._get_rel_pos_bias()  # (1, heads, tokens, tokens), float32 under autocast too
    out = qkv.new_empty(count, tokens, heads, qkv.shape[-1])
    per_image = count if mask is None else len(mask)
    step = max(1, _SCORES * torch.get_num_threads() // (heads * tokens**2))
    for image in range(0, count, per_image):
        for first in range(0, per_image, step):
            some = slice(image + first, image + min(first + step, per_image))
            q, k, v = qkv[some].permute(2, 0, 3, 1, 4).contiguous()  # (windows, heads, tokens, d) each
            scores = (q @ k.mT).to(bias.dtype)
            torch.add(bias, scores, alpha=attention.scale, out=scores)
            if mask is not None:
                scores += mask[first : first + step, None]
            out[some] = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2)
    return attention.proj(out.flatten(2))
