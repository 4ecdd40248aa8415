"""The training losses: alignment (focal), box (GIoU) and centerness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glip_core.detection.assigner import Assignment
from glip_core.detection.boxes import decode
from glip_core.types import RawOutputs

BOX_WEIGHT = 2.0
_EPS = 1e-7


LOSSES = ("alignment", "box", "centerness")
"""The three losses, which are added up."""


@dataclass(frozen=True)
class Normalisers:
    """What the sums of a batch are divided by; they depend on the ground truth alone, not on predictions.

    So a batch whose images cannot share one tensor (different padded sizes) is still one batch: add up the
    normalisers of its images, then every image's losses, divided by these, add up to the batch's loss. That is
    what four GPUs with one image each do in the official recipe.

    Attributes:
        positives: number of positive anchors.
        centerness: sum of their centerness targets.
    """

    positives: float
    centerness: float

    def __add__(self, other: Normalisers) -> Normalisers:
        return Normalisers(self.positives + other.positives, self.centerness + other.centerness)

    @classmethod
    def of(cls, assignments: Sequence[Assignment]) -> Normalisers:
        """The normalisers of a batch."""
        return cls(
            positives=float(sum(len(a.positive) for a in assignments)),
            centerness=float(sum(float(a.centerness.sum()) for a in assignments)),
        )


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Elementwise sigmoid focal loss (Lin et al. 2017, equation 5); ``targets`` are 0 or 1."""
    error = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    wrong = probability + targets - 2 * probability * targets  # 1 - p where the target is 1, p where it is 0
    weight = (1 - alpha) + (2 * alpha - 1) * targets
    return weight * wrong**gamma * error


def giou_loss(predicted: Tensor, boxes: Tensor) -> Tensor:
    """``1 - GIoU`` per row of ``[P, 4]`` boxes (Rezatofighi et al. 2019); areas here without the inclusive +1."""
    predicted = torch.cat([predicted[:, :2], torch.maximum(predicted[:, :2], predicted[:, 2:])], dim=1)
    overlap = _area(torch.maximum(predicted[:, :2], boxes[:, :2]), torch.minimum(predicted[:, 2:], boxes[:, 2:]))
    hull = _area(torch.minimum(predicted[:, :2], boxes[:, :2]), torch.maximum(predicted[:, 2:], boxes[:, 2:])) + _EPS
    union = _area(predicted[:, :2], predicted[:, 2:]) + _area(boxes[:, :2], boxes[:, 2:]) - overlap + _EPS
    return 1 - overlap / union + (hull - union) / hull


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(dim=-1)


def token_targets(assignments: Sequence[Assignment], columns: Sequence[Tensor], *, background_column: bool) -> Tensor:
    """The target of each anchor for each token (or class), float ``[B, A, T]`` of 0 and 1.

    Args:
        assignments: one per image.
        columns: per image ``[M, T]``, the tokens of each ground-truth box.
        background_column: give background anchors a 1 in the last column, as the official code does; it only
            shows when a prompt fills all 256 tokens.
    """
    rows = []
    for assignment, per_box in zip(assignments, columns, strict=True):
        nothing = per_box.new_zeros(1, per_box.shape[1])
        if background_column:
            nothing[:, -1] = 1
        rows.append(torch.cat([per_box, nothing])[assignment.matched])  # -1 picks the background row
    return torch.stack(rows)


def detection_losses(
    raw: RawOutputs,
    anchors: Tensor,
    assignments: Sequence[Assignment],
    targets: Tensor,
    *,
    mask: Tensor | None = None,
    normalisers: Normalisers | None = None,
) -> dict[str, Tensor]:
    """The three losses of a batch.

    Args:
        raw: outputs for B images.
        anchors: ``[A, 4]`` of all levels.
        assignments: one per image.
        targets: ``[B, A, T]`` from :func:`token_targets`.
        mask: bool ``[B or 1, T]``; padding tokens count nowhere.
        normalisers: of the whole batch that these images are part of; by default of these images.

    Returns:
        ``alignment``: focal loss over all anchors and tokens / positives; ``box``: GIoU weighed by the centerness
        target / the sum of those targets, times 2; ``centerness``: binary cross entropy / positives.
    """
    norm = normalisers or Normalisers.of(assignments)
    positives = max(norm.positives, 1.0)
    logits = torch.cat([x.float() for x in raw.logits], dim=1)  # (B, A, T)
    alignment = focal_loss(logits, targets)
    if mask is not None and not mask.all():
        alignment = alignment * mask[:, None]
    alignment = alignment.sum() / positives

    deltas = torch.cat([x.float().flatten(2).mT for x in raw.box_deltas], dim=1)  # (B, A, 4)
    center_logits = torch.cat([x.float().flatten(1) for x in raw.centerness], dim=1)  # (B, A)
    box, center = deltas.sum() * 0, center_logits.sum() * 0  # part of the graph even without positives
    for i, assignment in enumerate(assignments):
        chosen, weight = assignment.positive, assignment.centerness
        if len(chosen) == 0:
            continue
        predicted = decode(deltas[i, chosen], anchors[chosen])
        box = box + (giou_loss(predicted, assignment.boxes) * weight).sum()
        center = center + F.binary_cross_entropy_with_logits(center_logits[i, chosen], weight, reduction="sum")
    if norm.centerness > 0:
        box = box / norm.centerness
    return {"alignment": alignment, "box": box * BOX_WEIGHT, "centerness": center / positives}
