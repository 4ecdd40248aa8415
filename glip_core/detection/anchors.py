"""One square anchor per position of each pyramid level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_anchor(size: int, stride: int) -> tuple[float, float, float, float]:
    """The anchor of a level's first position: side ``size``, centred in the first ``stride`` pixels.

    In inclusive pixels the centre is at ``(stride - 1) / 2``; for P3 (64, 8) it is ``(-28, -28, 35, 35)``.
    """
    center, half = (stride - 1) / 2, (size - 1) / 2
    return (center - half, center - half, center + half, center + half)


def level_anchors(height: int, width: int, *, size: int, stride: int, device: torch.device | str = "cpu") -> Tensor:
    """Anchors of one level in row-major order, float32 ``[height * width, 4]``."""
    base = torch.tensor(cell_anchor(size, stride), dtype=torch.float32, device=device)
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device) * stride,
        torch.arange(width, dtype=torch.float32, device=device) * stride,
        indexing="ij",
    )
    return torch.stack([x, y, x, y], dim=-1).reshape(-1, 4) + base


def pyramid_anchors(
    level_sizes: Sequence[tuple[int, int]],
    *,
    sizes: Sequence[int],
    strides: Sequence[int],
    device: torch.device | str = "cpu",
) -> list[Tensor]:
    """Anchors of every level, P3 first.

    Args:
        level_sizes: (height, width) of each level's feature map.
        sizes: anchor side per level, in pixels of the network input.
        strides: pixels between neighbouring positions per level.
        device: where to put them.
    """
    return [
        level_anchors(h, w, size=size, stride=stride, device=device)
        for (h, w), size, stride in zip(level_sizes, sizes, strides, strict=True)
    ]
