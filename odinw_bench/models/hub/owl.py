"""OWL-ViT (Minderer et al., ECCV 2022) and OWLv2 (Minderer et al., NeurIPS 2023), asked only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from glip_core import Detections, Prompt
from odinw_bench.models.base import AnyPrompt, ModelInput
from odinw_bench.models.hub.base import HubModel, ProcessedImage
from odinw_bench.models.hub.decode import best_scores


@dataclass(frozen=True)
class PatchFeatures:
    """What the vision tower made of one image.

    Attributes:
        patches: ``[1, h, w, D]``.
        hw: (height, width) of the photo.
    """

    patches: Tensor
    hw: tuple[int, int]

    @property
    def batch_key(self) -> tuple[int, int]:
        """Images with as many patches may share a pass."""
        return self.patches.shape[1], self.patches.shape[2]


class OwlVit(HubModel):
    """Each patch is a query, each class a text of its own: its name, with its attributes where there are some.

    transformers has no loss for the family, so that it is not tuned here.
    """

    network_class: ClassVar[str] = "OwlViTForObjectDetection"
    text_model: ClassVar[str] = "owlvit"

    def encode(self, prompt: Prompt) -> tuple[Prompt, Tensor]:
        """See :class:`Model`: the prompt and ``[C, D]``, a row per class; texts longer than it reads are cut."""
        spans = prompt.segments or prompt.spans
        texts = [prompt.caption[start:end] for start, end in spans]
        length = self.network.config.text_config.max_position_embeddings
        tokens = self.processor.tokenizer(
            texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(self.device)
        with torch.no_grad():
            found: Any = getattr(self.network, self.text_model).get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            )
        return prompt, getattr(found, "pooler_output", found)

    def scaled_side(self, length: float) -> int:
        """See :class:`HubModel`: whole patches."""
        patch: int = self.network.config.vision_config.patch_size
        return max(1, round(length / patch)) * patch

    @torch.no_grad()
    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[PatchFeatures]:
        """See :class:`Model`: the vision tower, whatever is asked for."""
        images = [one for one in inputs if isinstance(one, ProcessedImage)]
        pixels = torch.cat([one.pixels for one in images]).to(self.device)
        usual = self.network.config.vision_config.image_size
        other = tuple(pixels.shape[-2:]) != (usual, usual)
        patches = self.network.image_embedder(pixels, interpolate_pos_encoding=other)[0]
        return [PatchFeatures(patches[number : number + 1], one.hw) for number, one in enumerate(images)]

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`."""
        features = [one for one in inputs if isinstance(one, PatchFeatures)] or self.encode_images(inputs)
        _, texts = self.encode(prompt) if isinstance(prompt, Prompt) else prompt
        grid = torch.cat([one.patches for one in features]).float()
        patches = grid.flatten(1, 2)
        side = self.network.num_patches_height, self.network.num_patches_width
        with torch.autocast(grid.device.type, enabled=False):  # coordinates are too coarse in half precision
            logits, _ = self.network.class_predictor(patches, texts.float().expand(len(patches), -1, -1))
            boxes = self.network.box_predictor(patches, grid, tuple(grid.shape[1:3]) != side)
        return [
            best_scores(scores.sigmoid(), self._of_photo(places, one.hw), one.hw)
            for scores, places, one in zip(logits, boxes, features, strict=True)
        ]

    def _of_photo(self, boxes: Tensor, hw: tuple[int, int]) -> Tensor:
        """Boxes in parts of what the network saw as boxes in parts of the photo."""
        return boxes


class Owlv2(OwlVit):
    """The same, self-trained on web images; photos are padded to squares, to the right and below."""

    network_class: ClassVar[str] = "Owlv2ForObjectDetection"
    text_model: ClassVar[str] = "owlv2"

    def _of_photo(self, boxes: Tensor, hw: tuple[int, int]) -> Tensor:
        side = max(hw)
        return boxes * boxes.new_tensor([side / hw[1], side / hw[0]] * 2)
