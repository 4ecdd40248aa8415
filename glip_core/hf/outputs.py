"""What the model of transformers puts out, and the detections in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from glip_core.postprocess import PostprocessConfig, postprocess
from glip_core.preprocess import scale_boxes
from glip_core.types import Detections, RawOutputs


@dataclass
class GlipObjectDetectionOutput(ModelOutput):
    """The outputs of the heads for B images; A anchors of all levels, P3 first, and T tokens.

    All tensors begin with the images, so that the pipeline can take a batch apart.

    Attributes:
        loss: scalar, the sum of ``loss_dict``; None without labels.
        loss_dict: scalars ``alignment``, ``box`` and ``centerness``.
        logits: ``[B, A, T]``, alignment of each anchor with each token of the prompt.
        box_deltas: ``[B, A, 4]``, offsets from the anchors in the coder's units.
        centerness: ``[B, A]``, a logit.
        anchors: ``[B, A, 4]``, inclusive corners in pixels of the network's input.
        level_sizes: int64 ``[B, levels]``, anchors of each level.
        image_sizes: int64 ``[B, 2]``, (height, width) of each image before padding.
        class_tokens: ``[B, C, T]``, 1 where a token stands for a class, else 0.
    """

    loss: Tensor | None = None
    loss_dict: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    box_deltas: Tensor | None = None
    centerness: Tensor | None = None
    anchors: Tensor | None = None
    level_sizes: Tensor | None = None
    image_sizes: Tensor | None = None
    class_tokens: Tensor | None = None


def flatten(raw: RawOutputs, anchors: Sequence[Tensor], image_sizes: Tensor, class_tokens: Tensor) -> dict[str, Tensor]:
    """The tensors of :class:`GlipObjectDetectionOutput` from the levels' outputs and anchors ``[H*W, 4]``."""
    images = len(image_sizes)
    counts = torch.tensor([len(level) for level in anchors], device=image_sizes.device)
    return {
        "logits": torch.cat(list(raw.logits), dim=1),
        "box_deltas": torch.cat([level.flatten(2).mT for level in raw.box_deltas], dim=1),
        "centerness": torch.cat([level.flatten(1) for level in raw.centerness], dim=1),
        "anchors": torch.cat(list(anchors)).expand(images, -1, -1),
        "level_sizes": counts.expand(images, -1),
        "image_sizes": image_sizes,
        "class_tokens": class_tokens,
    }


def detections(
    outputs: Mapping[str, Any], target_sizes: Tensor | Sequence[tuple[int, int]] | None, config: PostprocessConfig
) -> list[Detections]:
    """The detections of each image, best first, by the rule of :func:`glip_core.postprocess.postprocess`.

    Args:
        outputs: see :class:`GlipObjectDetectionOutput`.
        target_sizes: (height, width) of each photo, whose pixels boxes are in; None: those of the network's input.
        config: the thresholds.
    """
    found = []
    sizes = outputs["image_sizes"].tolist()
    targets = sizes if target_sizes is None else [tuple(map(int, size)) for size in target_sizes]
    for image, (hw, target) in enumerate(zip(sizes, targets, strict=True)):
        counts = outputs["level_sizes"][image].tolist()
        logits, deltas, centerness, anchors = (
            outputs[name][image].split(counts) for name in ("logits", "box_deltas", "centerness", "anchors")
        )
        raw = RawOutputs(
            logits=[level[None] for level in logits],
            box_deltas=[level.t()[None, :, :, None] for level in deltas],
            centerness=[level[None, None] for level in centerness],
        )
        tokens = [row.nonzero().flatten().tolist() for row in outputs["class_tokens"][image]]
        (one,) = postprocess(raw, anchors, [tuple(hw)], tokens, config)
        boxes = one.boxes if target_sizes is None else scale_boxes(one.boxes, hw, target)
        found.append(Detections(boxes, one.scores, one.labels))
    return found
