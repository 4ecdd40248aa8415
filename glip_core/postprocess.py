"""From raw outputs to detections: scores per class, the best of each level, non-maximum suppression (NMS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glip_core.detection import boxes as box_ops
from glip_core.detection.kernels import nms
from glip_core.types import Detections, RawOutputs


@dataclass(frozen=True)
class PostprocessConfig:
    """The official thresholds.

    Attributes:
        min_class_score: class scores must exceed this, before centerness.
        per_level: (class, position) pairs kept per level before NMS.
        nms_iou: of two boxes of a class that overlap by more, the one with the lower score is dropped.
        per_image: detections kept per image (ties with the last one are kept too).
    """

    min_class_score: float = 0.05
    per_level: int = 1000
    nms_iou: float = 0.6
    per_image: int = 100


def class_scores(logits: Tensor, token_map: Sequence[Sequence[int]] | None) -> Tensor:
    """Scores per class.

    Args:
        logits: ``[N, T]``.
        token_map: tokens of each class; None if columns are classes already.

    Returns:
        ``[N, classes]`` in 0..1: the mean of the sigmoids of a class's tokens, 0 for a class without tokens.
    """
    scores = logits.sigmoid()
    if token_map is None:
        return scores
    weights = scores.new_zeros(scores.shape[1], len(token_map))
    for label, tokens in enumerate(token_map):
        for token in tokens:
            weights[token, label] = 1.0 / len(tokens)
    with torch.autocast(scores.device.type, enabled=False):  # its product would round the scores
        return scores @ weights


def postprocess(
    raw: RawOutputs,
    anchors: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]],
    token_map: Sequence[Sequence[int]] | None,
    config: PostprocessConfig,
) -> list[Detections]:
    """Detections of each image.

    Args:
        raw: outputs for B images.
        anchors: per level ``[H*W, 4]``.
        image_sizes: (height, width) of each image before padding; boxes are clipped to it.
        token_map: tokens of each class, None for a class head.
        config: the thresholds.
    """
    return [_one_image(raw, i, anchors, size, token_map, config) for i, size in enumerate(image_sizes)]


def _one_image(
    raw: RawOutputs,
    image: int,
    anchors: Sequence[Tensor],
    size: tuple[int, int],
    token_map: Sequence[Sequence[int]] | None,
    config: PostprocessConfig,
) -> Detections:
    boxes, scores, labels = [], [], []
    for level, level_anchors in enumerate(anchors):
        per_class = class_scores(raw.logits[level][image].float(), token_map)  # (H*W, classes)
        centerness = raw.centerness[level][image].float().flatten().sigmoid()
        ranked = torch.where(per_class > config.min_class_score, per_class * centerness[:, None], -1.0).flatten()
        best, index = ranked.topk(min(config.per_level, ranked.numel()))
        index = index[best >= 0]
        position, label = index // per_class.shape[1], index % per_class.shape[1]
        deltas = raw.box_deltas[level][image].float().flatten(1).t()[position]
        boxes.append(box_ops.clip(box_ops.decode(deltas, level_anchors[position]), size))
        scores.append(best[best >= 0].sqrt())
        labels.append(label)
    return _suppress(torch.cat(boxes), torch.cat(scores), torch.cat(labels), config)


def class_aware_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """Indices of the boxes kept, best first.

    Overlap counts inclusive pixels, as the official kernel does: adding 1 to x2 and y2 makes torchvision's NMS
    the same. Boxes of different classes are shifted apart by more than an image, so that they never overlap; in float64
    that costs no precision.
    """
    if len(boxes) == 0:
        return labels.new_zeros(0)
    exclusive = boxes.double() + boxes.new_tensor([0, 0, 1, 1]).double()
    apart = labels.double()[:, None] * (exclusive.max() - exclusive.min() + 1)
    return nms(exclusive + apart, scores.double(), iou)


def merge(parts: Sequence[Detections], per_image: int) -> Detections:
    """Detections of one image from prompts of different classes: the best of all, ties with the last kept too."""
    boxes = torch.cat([part.boxes for part in parts])
    scores = torch.cat([part.scores for part in parts])
    labels = torch.cat([part.labels for part in parts])
    order = scores.argsort(descending=True, stable=True)
    return _limit(boxes[order], scores[order], labels[order], per_image)


def _suppress(boxes: Tensor, scores: Tensor, labels: Tensor, config: PostprocessConfig) -> Detections:
    kept = class_aware_nms(boxes, scores, labels, config.nms_iou)
    return _limit(boxes[kept], scores[kept], labels[kept], config.per_image)


def _limit(boxes: Tensor, scores: Tensor, labels: Tensor, per_image: int) -> Detections:
    """The first ``per_image`` of detections that come best first, and those that tie with the last of them."""
    if len(scores) > per_image > 0:
        enough = scores >= scores[per_image - 1]
        boxes, scores, labels = boxes[enough], scores[enough], labels[enough]
    return Detections(boxes=boxes, scores=scores, labels=labels)
