"""The small parts of a Swin Transformer (Liu et al. 2021); names of parameters are those of its checkpoints.

timm has them too; written out here, since its import takes longer than a small model's detection.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.modeling.cpu import PixelLinear


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): while training a whole image's update is left out, others are scaled up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.drop_prob = rate

    def forward(self, update: Tensor) -> Tensor:
        """``[B, ...]`` -> the same shape."""
        if not self.training:
            return update
        kept = update.new_empty(len(update), *[1] * (update.ndim - 1)).bernoulli_(1 - self.drop_prob)
        return update * (kept / (1 - self.drop_prob))


class Mlp(nn.Module):
    """Two linear layers, four times as wide between them, with the exact (erf) GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = PixelLinear(width, 4 * width)
        self.fc2 = PixelLinear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., C]`` -> ``[..., C]``."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class PatchMerging(nn.Module):
    """Four neighbouring positions become one of twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, H, W, C]`` -> ``[B, ceil(H / 2), ceil(W / 2), 2 * C]``."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        # Channels of the four in the order of the checkpoints: down the first column, then down the second.
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return out


def split_windows(x: Tensor, window: int) -> Tensor:
    """``[B, H, W, C]``, H and W multiples of the window -> ``[B * windows, window, window, C]``."""
    x = x.unflatten(1, (-1, window)).unflatten(3, (-1, window))  # (B, rows, window, columns, window, C)
    return x.transpose(2, 3).flatten(0, 2)


def join_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """What :func:`split_windows` split: ``[B * windows, window, window, C]`` -> ``[B, H, W, C]``."""
    window = windows.shape[1]
    x = windows.unflatten(0, (-1, height // window, width // window))  # (B, rows, columns, window, window, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_positions(window: int) -> Tensor:
    """The row of the bias table for each pair of a window's tokens, int64 ``[tokens, tokens]``.

    A row stands for a difference (down, right), each from 1 - window to window - 1, the second running fastest.
    """
    down, right = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    down, right = down.flatten(), right.flatten()  # (tokens,)
    difference = [axis[:, None] - axis[None, :] + window - 1 for axis in (down, right)]
    return difference[0] * (2 * window - 1) + difference[1]
