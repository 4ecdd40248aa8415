"""Adaptive training sample selection (ATSS, Zhang et al. 2020): which anchors are trained on which box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glip_core.detection.boxes import pairwise_iou

CANDIDATES_PER_LEVEL = 9
_INSIDE_BY = 0.01  # an anchor's centre must lie this many pixels inside the box


@dataclass(frozen=True)
class Assignment:
    """The anchors of one image and the boxes that they are matched with.

    Attributes:
        matched: int64 ``[A]``, the index of the box, -1 for background; A counts the anchors of all levels.
        positive: int64 ``[P]``, the anchors with a box, ascending.
        boxes: float ``[P, 4]``, the matched box of each positive anchor.
        centerness: float ``[P]`` in 0..1, how central the anchor's centre lies in its box.
    """

    matched: Tensor
    positive: Tensor
    boxes: Tensor
    centerness: Tensor


def assign(anchors: Sequence[Tensor], boxes: Tensor) -> Assignment:
    """Assign the anchors of one image.

    Per box, the nine anchors of each level that lie nearest to its centre are candidates; those whose IoU reaches
    the candidates' mean plus standard deviation, and whose centre lies inside the box, are positive. An anchor
    matched by two boxes is assigned to the one with the larger IoU.

    Args:
        anchors: per level ``[A_l, 4]``, those over padding included.
        boxes: ``[M, 4]`` ground truth, M may be 0.
    """
    everything = torch.cat(list(anchors))
    if len(boxes) == 0:
        matched = torch.full((len(everything),), -1, dtype=torch.long, device=everything.device)
        nothing = matched[:0]
        return Assignment(matched, nothing, everything[:0], everything.new_zeros(0))
    iou = pairwise_iou(everything, boxes)  # (A, M)
    centers = _centers(everything)
    distance = (centers[:, None] - _centers(boxes)[None]).pow(2).sum(-1).sqrt()  # (A, M)

    candidates, first = [], 0
    for level in anchors:
        nearest = distance[first : first + len(level)].topk(min(CANDIDATES_PER_LEVEL, len(level)), dim=0, largest=False)
        candidates.append(nearest.indices + first)
        first += len(level)
    chosen = torch.cat(candidates)  # (K, M)
    candidate_iou = iou.gather(0, chosen)
    threshold = candidate_iou.mean(0) + candidate_iou.std(0)
    margins = _margins(centers[chosen], boxes[None])  # (K, M, 4)
    accepted = (candidate_iou >= threshold) & (margins.amin(-1) > _INSIDE_BY)

    best = torch.full_like(iou, -torch.inf)
    best.scatter_(0, chosen, torch.where(accepted, candidate_iou, -torch.inf))
    value, matched = best.max(dim=1)
    matched = torch.where(value == -torch.inf, -1, matched)
    positive = (matched >= 0).nonzero().squeeze(1)
    matched_boxes = boxes[matched[positive]]
    return Assignment(matched, positive, matched_boxes, centerness_target(everything[positive], matched_boxes))


def centerness_target(anchors: Tensor, boxes: Tensor) -> Tensor:
    """``sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))`` of the anchors' centres, ``[P]`` (Tian et al. 2019)."""
    left, top, right, bottom = _margins(_centers(anchors), boxes).unbind(-1)
    across = torch.minimum(left, right) / torch.maximum(left, right)
    down = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return (across * down).sqrt()


def _centers(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _margins(points: Tensor, boxes: Tensor) -> Tensor:
    """Distances of points from the left, top, right and bottom side of boxes, positive inside."""
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=-1)
