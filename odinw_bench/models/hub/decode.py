"""From the outputs of query detectors to detections."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glip_core import Detections

MOST = 300
"""Detections of an image, as in the published evaluations."""


def best_pairs(
    logits: Tensor, boxes: Tensor, tokens: Sequence[Sequence[int]], hw: tuple[int, int], first: int = 0
) -> Detections:
    """The best pairs of query and class, where a class is some tokens.

    Args:
        logits: ``[Q, T]``, minus infinity where a token is none.
        boxes: ``[Q, 4]``, centre and size in parts of the image.
        tokens: of each class; one without is never found.
        hw: (height, width) of the image.
        first: label of the first class.
    """
    share = torch.zeros(len(tokens), logits.shape[1], device=logits.device)
    for number, indices in enumerate(tokens):
        if indices:
            share[number, list(indices)] = 1 / len(indices)
    with torch.autocast(logits.device.type, enabled=False):  # its product would round the scores
        scores = logits.sigmoid() @ share.T
    return best_scores(scores, boxes, hw, first)


def best_scores(scores: Tensor, boxes: Tensor, hw: tuple[int, int], first: int = 0) -> Detections:
    """The best pairs of query and class.

    Args:
        scores: ``[Q, C]``, 0 to 1.
        boxes: ``[Q, 4]``, centre and size in parts of the image.
        hw: (height, width) of the image.
        first: label of the first class.
    """
    flat, classes = scores.flatten(), scores.shape[1]
    best = flat.sort(descending=True, stable=True).indices[:MOST]
    labels, queries = best % classes + first, best // classes
    scale = torch.tensor([hw[1], hw[0], hw[1], hw[0]], dtype=boxes.dtype, device=boxes.device)
    centre, extent = (boxes[queries] * scale).split(2, dim=1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2 - 1], dim=1)  # inclusive corners
    limit = scale - 1
    return Detections(corners.clamp(min=0).minimum(limit).cpu(), flat[best].cpu(), labels.cpu())


def best_of(parts: Sequence[Detections]) -> Detections:
    """The best detections of several parts of a prompt."""
    if len(parts) == 1:
        return parts[0]
    scores = torch.cat([one.scores for one in parts])
    best = scores.sort(descending=True, stable=True).indices[:MOST]
    boxes, labels = torch.cat([one.boxes for one in parts]), torch.cat([one.labels for one in parts])
    return Detections(boxes[best], scores[best], labels[best])
