"""The encoder's proposals of the Grounding DINO families, as their loss has to see them."""

from __future__ import annotations

from typing import Any

from torch import nn


def with_proposals(network: nn.Module, _inputs: Any, outputs: Any) -> Any:
    """A forward hook: the encoder's proposals are what it scored and placed, with their gradients.

    The models were trained with a loss of the proposals that become queries (Grounding DINO paper, section 3.2 and the
    two stages of DINO), which trains what scores, chooses and places them. transformers (5.24) gives its loss other
    values: boxes without gradient and, as class scores, products of the queries' learned embeddings with the text
    before the fusion. The layers that choose the queries would have no gradient at all.

    Args:
        network: a ``GroundingDinoModel``, or a class made like it.
        outputs: of its ``forward``; ``encoder_logits`` becomes float ``[B, Q, T]`` and ``encoder_pred_boxes`` float
            ``[B, Q, 4]``, centre and size in parts of the image, of the Q places with the highest scores.

    Returns:
        the outputs.
    """
    scores, boxes = outputs.enc_outputs_class, outputs.enc_outputs_coord_logits
    if scores is None:  # a model without proposals
        return outputs
    best = scores.detach().amax(dim=-1).topk(outputs.init_reference_points.shape[1], dim=1).indices[..., None]
    outputs.encoder_logits = scores.gather(1, best.expand(-1, -1, scores.shape[-1]))
    outputs.encoder_pred_boxes = boxes.gather(1, best.expand(-1, -1, 4)).sigmoid()
    return outputs
