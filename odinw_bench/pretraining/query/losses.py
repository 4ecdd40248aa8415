"""The losses from which the embedded query detectors learn: dense at the encoder, matched at the decoder.

With one query for each box alone such detectors need hundreds of epochs. Here every place of the encoder learns like
a one-stage detector's, the first decoder layers have several queries for each box, and only the last layer has one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import generalized_box_iou_loss

from odinw_bench.pretraining.query.assignment import Assignment, Truth, assign_many, assign_one, corners

_BEYOND = 1e4
"""Logits of this size are no boxes: the Grounding DINO families have infinity there, RT-DETR the largest number."""


def dense_losses(
    logits: Tensor, boxes: Tensor, places: Tensor, mask: Tensor, truths: Sequence[Truth]
) -> tuple[Tensor, Tensor]:
    """The class and box loss of all places of the encoder.

    Args:
        logits: ``[B, N, T]``.
        boxes: logits of centre and size ``[B, N, 4]``, beyond all bounds where a place proposes nothing.
        places: ``[N, 2]``, see :func:`~odinw_bench.pretraining.query.assignment.assign_many`.
        mask: bool ``[B, T]``, which tokens there are.
        truths: of each image.
    """
    sums = Sums()
    for scores, found, there, truth in zip(logits, boxes, mask, truths, strict=True):
        sound = (found.abs() < _BEYOND).all(1)
        part, box = scores[sound][:, there], found[sound].sigmoid()
        some = Truth(truth.boxes, truth.tokens[:, there])
        pairs = assign_many(part.sigmoid(), box, places[sound], some) if len(some.boxes) else None
        sums.add(part, box, some, pairs)
    return sums.means()


def matched_losses(
    logits: Tensor, boxes: Tensor, mask: Tensor, truths: Sequence[Truth], *, repeat: int = 1
) -> tuple[Tensor, Tensor]:
    """The class and box loss of a decoder layer.

    Args:
        logits: ``[B, Q, T]``.
        boxes: ``[B, Q, 4]``, centre and size in parts of the image.
        mask: see :func:`dense_losses`.
        truths: likewise.
        repeat: see :func:`~odinw_bench.pretraining.query.assignment.assign_one`.
    """
    sums = Sums()
    for scores, box, there, truth in zip(logits, boxes, mask, truths, strict=True):
        part, some = scores[:, there], Truth(truth.boxes, truth.tokens[:, there])
        pairs = assign_one(part, box, some, repeat=repeat) if len(some.boxes) else None
        sums.add(part, box, some, pairs)
    return sums.means()


class Sums:
    """Losses of several images, divided in the end by all that was wanted of them."""

    def __init__(self) -> None:
        self.classes: list[Tensor] = []
        self.boxes: list[Tensor] = []
        self.wanted = 0.0

    def add(self, logits: Tensor, boxes: Tensor, truth: Truth, pairs: Assignment | None) -> None:
        """The losses of an image; ``pairs`` is None where there is nothing to find."""
        target = torch.zeros_like(logits)
        if pairs is not None:
            target[pairs.rows] = pairs.quality[:, None] * truth.tokens[pairs.owners]
            found, wanted = boxes[pairs.rows], truth.boxes[pairs.owners]
            distance = (found - wanted).abs().sum(1)
            overlap = generalized_box_iou_loss(corners(found), corners(wanted))
            self.boxes.append(((5 * distance + 2 * overlap) * pairs.weight).sum())
            self.wanted += float(pairs.weight.sum())
        self.classes.append(token_loss(logits, target))

    def means(self) -> tuple[Tensor, Tensor]:
        """The class and the box loss."""
        classes = torch.stack(self.classes).sum()
        boxes = torch.stack(self.boxes).sum() if self.boxes else classes * 0
        return classes / max(self.wanted, 1.0), boxes / max(self.wanted, 1.0)


def token_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The sum over tokens of a focal loss whose targets are qualities.

    Where one is wanted its weight is the squared distance to it (Li et al., "Generalized Focal Loss", NeurIPS 2020),
    elsewhere 0.75 times the squared score (Zhang et al., "VarifocalNet", CVPR 2021).

    Args:
        logits: ``[N, T]``.
        target: ``[N, T]``, 0 to 1.
    """
    score = logits.sigmoid()
    weight = torch.where(target > 0, (target - score) ** 2, 0.75 * score**2)
    return (binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum()
