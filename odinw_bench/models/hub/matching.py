"""The losses of the Grounding DINO families: transformers' own, on classes as our prompts name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from glip_core import InputError, Targets

LOSSES = ("class", "box", "giou")
"""Focal loss of the tokens, L1 distance and generalised overlap of the boxes."""

_CLASS_WEIGHT = 2.0  # written into transformers' loss; the other two are in the configuration


def matched_labels(targets: Targets, hw: tuple[int, int], label_map: Tensor) -> dict[str, Tensor]:
    """The ground truth of an image as transformers' losses take it.

    Args:
        targets: in pixels of ``hw``.
        hw: (height, width).
        label_map: ``[C, T]``, see :meth:`~odinw_bench.models.hub.text.EncodedText.label_map`.
    """
    return {"class_labels": targets.labels, "boxes": relative_boxes(targets.boxes, hw), "label_map": label_map}


def relative_boxes(boxes: Tensor, hw: tuple[int, int]) -> Tensor:
    """Inclusive corners ``[M, 4]`` in pixels as centre and size in parts of the image."""
    corners = boxes.float() + boxes.new_tensor([0, 0, 1, 1])
    scale = boxes.new_tensor([hw[1], hw[0]])
    low, high = corners[:, :2] / scale, corners[:, 2:] / scale
    return torch.cat([(low + high) / 2, high - low], dim=1)


def grounding_loss(
    logits: Tensor,
    labels: Sequence[Mapping[str, Tensor]],
    device: Any,
    pred_boxes: Tensor,
    config: Any,
    label_maps: Sequence[Tensor],
    text_mask: Tensor,
    outputs_class: Tensor,
    outputs_coord: Tensor,
    **encoder: Tensor,
) -> Any:
    """In place of a network's ``loss_function``: the same loss, in float32, with the classes' tokens of our prompt.

    The network itself would take all that stands between two dots for the class, attributes included.

    Raises:
        InputError: scipy, which matches queries with boxes, is missing.
    """
    from transformers.loss.loss_grounding_dino import GroundingDinoForObjectDetectionLoss
    from transformers.utils import is_scipy_available

    if not is_scipy_available():
        raise InputError("tuning this model needs scipy, which matches queries with boxes: pip install scipy")
    maps = tuple(one["label_map"] for one in labels)
    # transformers finds the classes of later images by the number of classes of one: right for a single prompt only.
    assert all(one is maps[0] for one in maps), "one prompt per batch"
    if not bool(outputs_coord.isfinite().all()):  # its matcher would end with a traceback; so the loss says it
        nothing = outputs_coord.sum() * float("nan")
        return nothing, dict.fromkeys(("loss_ce", "loss_bbox", "loss_giou"), nothing), None
    with torch.autocast(logits.device.type, enabled=False):
        return GroundingDinoForObjectDetectionLoss(
            logits.float(),
            labels,
            device,
            pred_boxes.float(),
            config,
            maps,
            text_mask,
            outputs_class=outputs_class.float(),
            outputs_coord=outputs_coord.float(),
            **{name: value.float() for name, value in encoder.items() if value is not None},
        )


def weighted(parts: Mapping[str, Tensor], config: Any, share: float) -> dict[str, Tensor]:
    """The parts of transformers' loss as :data:`LOSSES`; their sum is the loss itself times ``share``.

    Args:
        parts: of the last decoder layer, the others, and the encoder's proposals, each divided by the boxes of the
            images that went through together.
        config: of the network.
        share: those boxes in parts of the whole batch's.
    """
    weights = {
        "class": ("loss_ce", _CLASS_WEIGHT),
        "box": ("loss_bbox", config.bbox_loss_coefficient),
        "giou": ("loss_giou", config.giou_loss_coefficient),
    }
    return {
        name: torch.stack([value for key, value in parts.items() if key.startswith(start)]).sum() * weight * share
        for name, (start, weight) in weights.items()
    }
