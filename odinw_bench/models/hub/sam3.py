"""SAM 3 (Carion et al., 2025) as a detector, asked only: one concept at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor

from glip_core import Detections, Prompt
from odinw_bench.models.base import AnyPrompt, ModelInput
from odinw_bench.models.hub.base import HubModel, ProcessedImage
from odinw_bench.models.hub.decode import best_of, best_scores
from odinw_bench.models.hub.given import answered

_LENGTH = 32
"""Tokens of a concept, at most, as the processor has it."""


@dataclass(frozen=True)
class SeenImage:
    """What the vision encoder made of one image.

    Attributes:
        seen: the encoder's own output.
        hw: (height, width) of the photo.
    """

    seen: Any
    hw: tuple[int, int]

    @property
    def batch_key(self) -> str:
        """All images have one size."""
        return "seen"


class Sam3(HubModel):
    """Each class is a concept of its own, looked for alone; masks are not made.

    The score is that of the box times that of the concept's being there at all. transformers has no loss for it, so
    that it is not tuned here.
    """

    batch_size: ClassVar[int] = 1
    network_class: ClassVar[str] = "Sam3Model"

    def encode(self, prompt: Prompt) -> list[tuple[Any, Tensor]]:
        """See :class:`Model`: of each class the text encoder's output and ``[1, T]``, which tokens count."""
        spans = prompt.segments or prompt.spans
        found: list[tuple[Any, Tensor]] = []
        for start, end in spans:
            tokens = self.processor.tokenizer(
                prompt.caption[start:end],
                padding="max_length",
                truncation=True,
                max_length=_LENGTH,
                return_tensors="pt",
            ).to(self.device)
            with torch.no_grad():
                text = self.network.get_text_features(tokens["input_ids"], tokens["attention_mask"])
            found.append((text, tokens["attention_mask"]))
        return found

    def scaled_side(self, length: float) -> int:
        """See :class:`HubModel`: its positions are those of one size."""
        size: int = self.processor.image_processor.size["height"]
        return size

    @torch.no_grad()
    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[SeenImage]:
        """See :class:`Model`: the vision encoder, whatever is asked for."""
        return [
            SeenImage(self.network.get_vision_features(one.pixels.to(self.device)), one.hw)
            for one in inputs
            if isinstance(one, ProcessedImage)
        ]

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`."""
        concepts = self.encode(prompt) if isinstance(prompt, Prompt) else prompt
        seen = [one for one in inputs if isinstance(one, SeenImage)] or self.encode_images(inputs)
        return [best_of([self._look_for(one, concept, n) for n, concept in enumerate(concepts)]) for one in seen]

    def _look_for(self, one: SeenImage, concept: tuple[Any, Tensor], label: int) -> Detections:
        text, mask = concept
        nothing = SimpleNamespace(pred_masks=None, semantic_seg=None, attentions=None)
        with answered({self.network.mask_decoder: lambda *_, **__: nothing}):
            found = self.network(vision_embeds=one.seen, text_embeds=text, attention_mask=mask)
        scores = found.pred_logits[0].float().sigmoid()
        if found.presence_logits is not None:
            scores = scores * found.presence_logits[0].float().sigmoid()
        low, high = found.pred_boxes[0].float().split(2, dim=1)
        return best_scores(scores[:, None], torch.cat([(low + high) / 2, high - low], dim=1), one.hw, label)
