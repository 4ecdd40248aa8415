"""Attention within windows in half precision: a few windows at a time, whose scores the processor's caches hold."""

from __future__ import annotations

import torch
from torch import Tensor

_SCORES = 1 << 18  # per thread at a time: 1 MB in float32, about a core's second cache


def attend_in_tiles(qkv: Tensor, bias: Tensor, mask: Tensor | None, *, scale: float) -> Tensor:
    """Softmax attention within each window; for use without gradients.

    Args:
        qkv: queries, keys and values, ``[images * windows, tokens, 3, heads, d]``, an image's windows together.
        bias: added to the scores, ``[1, heads, tokens, tokens]``.
        mask: additive, ``[windows, tokens, tokens]``, or None.
        scale: of the scores.

    Returns:
        ``[images * windows, tokens, heads, d]``.
    """
    count, tokens, _, heads, width = qkv.shape
    out = qkv.new_empty(count, tokens, heads, width)
    per_image = count if mask is None else len(mask)
    step = max(1, _SCORES * torch.get_num_threads() // (heads * tokens**2))
    for image in range(0, count, per_image):
        for first in range(0, per_image, step):
            some = slice(image + first, image + min(first + step, per_image))
            q, k, v = qkv[some].permute(2, 0, 3, 1, 4).contiguous()  # (windows, heads, tokens, d) each
            scores = (q @ k.mT).to(bias.dtype)
            torch.add(bias, scores, alpha=scale, out=scores)
            if mask is not None:
                scores += mask[first : first + step, None]
            out[some] = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2)
    return out
