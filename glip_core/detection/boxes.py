"""Boxes in the legacy convention of the official checkpoints: inclusive corners, width ``x2 - x1 + 1``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CODER_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Scale of the four regression targets (dx, dy, dw, dh)."""

MAX_LOG_RATIO = math.log(1000.0 / 16)
"""Largest dw or dh that is decoded: keeps the exponential finite."""


def _centers_and_sizes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres and inclusive sizes, each ``[..., 2]`` as (x, y)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low + 1


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Regression targets that turn ``anchors`` into ``boxes``.

    Args:
        boxes: ``[N, 4]`` inclusive corners.
        anchors: ``[N, 4]`` inclusive corners.

    Returns:
        ``[N, 4]`` as (dx, dy, dw, dh), scaled by :data:`CODER_WEIGHTS`.
    """
    anchor_centers, anchor_sizes = _centers_and_sizes(anchors)
    centers, sizes = _centers_and_sizes(boxes)
    weights = boxes.new_tensor(CODER_WEIGHTS)
    shift = weights[:2] * (centers - anchor_centers) / anchor_sizes
    log_ratio = weights[2:] * torch.log(sizes / anchor_sizes)
    return torch.cat([shift, log_ratio], dim=-1)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Inverse of :func:`encode`, with dw and dh bounded by :data:`MAX_LOG_RATIO`.

    Args:
        deltas: ``[..., 4]``.
        anchors: ``[..., 4]`` inclusive corners.

    Returns:
        ``[..., 4]`` inclusive corners.
    """
    anchor_centers, anchor_sizes = _centers_and_sizes(anchors)
    weights = deltas.new_tensor(CODER_WEIGHTS)
    centers = deltas[..., :2] / weights[:2] * anchor_sizes + anchor_centers
    sizes = torch.exp((deltas[..., 2:] / weights[2:]).clamp(max=MAX_LOG_RATIO)) * anchor_sizes
    half = 0.5 * (sizes - 1)
    return torch.cat([centers - half, centers + half], dim=-1)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes clipped to an image of ``size`` = (height, width): x to 0..w-1, y to 0..h-1."""
    height, width = size
    limit = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return torch.minimum(boxes.clamp(min=0), limit)


def area(boxes: Tensor) -> Tensor:
    """Inclusive pixel counts, ``[...]``."""
    return (boxes[..., 2] - boxes[..., 0] + 1) * (boxes[..., 3] - boxes[..., 1] + 1)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of inclusive boxes, ``[N, 4]`` and ``[M, 4]`` -> ``[N, M]``."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = (high - low + 1).clamp(min=0).prod(dim=-1)
    return overlap / (area(first)[:, None] + area(second)[None] - overlap)
