"""Which places or queries of a detector are to find which box: many for each box, or exactly one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou, generalized_box_iou

NEAR = 0.04
"""A place this far from a box's centre, in parts of the image, may have it though it lies outside: boxes that are
smaller than the distance between places hold none."""

LEAST = 0.05
"""Least score that is wanted of what has a box: at first none overlaps its own."""


@dataclass(frozen=True)
class Truth:
    """What is to be found in an image.

    Attributes:
        boxes: float ``[M, 4]``, centre and size in parts of the image.
        tokens: float ``[M, T]``, 1 where a token (or class) stands for the box.
    """

    boxes: Tensor
    tokens: Tensor

    @property
    def corners(self) -> Tensor:
        """``[M, 4]``, in parts of the image."""
        return corners(self.boxes)

    @property
    def shares(self) -> Tensor:
        """``[M, T]``: scores of tokens times this are the mean score of each box's tokens."""
        return self.tokens / self.tokens.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Assignment:
    """Pairs of a place or query and its box.

    Attributes:
        rows: int64 ``[P]``, the places or queries.
        owners: int64 ``[P]``, rows of the truth.
        quality: float ``[P]``, 0 to 1: the score that is wanted.
        weight: float ``[P]``: how much each pair counts.
    """

    rows: Tensor
    owners: Tensor
    quality: Tensor
    weight: Tensor


def corners(boxes: Tensor) -> Tensor:
    """Boxes by their corners instead of centre and size."""
    return box_convert(boxes, "cxcywh", "xyxy")


@torch.no_grad()
def assign_many(scores: Tensor, boxes: Tensor, places: Tensor, truth: Truth, *, most: int = 9) -> Assignment:
    """Several places for each box: those whose own score and box fit it best.

    Task-aligned assignment (Feng et al., "TOOD", ICCV 2021): places inside a box are ordered by ``score^0.5 IoU^4``;
    a place that several boxes want goes to the one it overlaps most; the wanted score is the alignment, scaled so
    that the best place of a box has its overlap.

    Args:
        scores: ``[N, T]``, 0 to 1.
        boxes: ``[N, 4]``, centre and size.
        places: ``[N, 2]``, where in the image each place is.
        truth: at least one box.
        most: places for a box.
    """
    wanted_corners = truth.corners
    overlap = box_iou(corners(boxes), wanted_corners)
    inside = ((places[:, None] > wanted_corners[:, :2]) & (places[:, None] < wanted_corners[:, 2:])).all(-1)
    near = (places[:, None] - truth.boxes[:, :2]).abs().amax(-1) < NEAR
    allowed = (inside | near).float()
    alignment = ((scores @ truth.shares.T).clamp(min=1e-6).sqrt() * overlap**4 + 1e-9) * allowed
    best = alignment.topk(min(most, len(alignment)), dim=0).indices
    chosen = torch.zeros_like(alignment).scatter_(0, best, 1.0) * (alignment > 0)
    overlaps = chosen * overlap.clamp(min=1e-6)
    rows = (overlaps.amax(1) > 0).nonzero()[:, 0]
    owners = overlaps[rows].argmax(1)
    own = torch.zeros_like(alignment)
    own[rows, owners] = 1.0
    alignment, overlap = alignment * own, overlap * own
    quality = alignment / alignment.amax(0).clamp(min=1e-12) * overlap.amax(0)
    wanted = quality[rows, owners].clamp(min=LEAST)
    return Assignment(rows, owners, wanted, weight=wanted)


@torch.no_grad()
def assign_one(logits: Tensor, boxes: Tensor, truth: Truth, *, repeat: int = 1) -> Assignment:
    """The queries with the least cost in all, one for each box (the Hungarian method, as in DETR).

    Costs are those of Grounding DINO: focal class cost times 2, L1 distance times 5, generalised overlap times 2.

    Args:
        logits: ``[Q, T]``.
        boxes: ``[Q, 4]``, centre and size.
        truth: at least one box.
        repeat: queries for a box, fewer where they would take more than half of all: several teach the first layers
            of a decoder faster (Jia et al., "DETRs with Hybrid Matching", CVPR 2023).
    """
    from scipy.optimize import linear_sum_assignment

    probability = logits.sigmoid()
    positive = 0.25 * (1 - probability) ** 2 * -(probability + 1e-8).log()
    negative = 0.75 * probability**2 * -(1 - probability + 1e-8).log()
    found, wanted = corners(boxes), truth.corners
    overlap = generalized_box_iou(found, wanted)
    cost = 2 * (positive - negative) @ truth.shares.T + 5 * torch.cdist(boxes, truth.boxes, p=1) - 2 * overlap
    times = max(1, min(repeat, len(boxes) // (2 * len(truth.boxes))))
    rows, columns = linear_sum_assignment(cost.repeat(1, times).numpy())
    owners = torch.as_tensor(columns) % len(truth.boxes)
    rows = torch.as_tensor(rows)
    quality = box_iou(found, wanted)[rows, owners].clamp(min=LEAST)
    return Assignment(rows, owners, quality, weight=torch.ones_like(quality))
