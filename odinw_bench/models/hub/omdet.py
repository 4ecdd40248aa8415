"""OmDet-Turbo (Zhao et al., 2024), asked only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor

from glip_core import Detections, InputError, Prompt
from odinw_bench.models.base import AnyPrompt, ModelInput
from odinw_bench.models.hub.base import HubModel, ProcessedImage
from odinw_bench.models.hub.decode import MOST
from odinw_bench.models.hub.features import VisionFeatures, joined, split

_NMS_OVERLAP = 0.5
"""Of two boxes of a class that overlap by more, the better one stays: the default of the published processor."""


@dataclass(frozen=True, eq=False)
class EncodedTask:
    """A prompt as the network reads it.

    Attributes:
        prompt: the classes.
        classes: ``[C, 1, D]``, a text of its own for each class.
        task: ``[T, 1, D]``, the tokens of a sentence that names all of them.
        mask: ``[1, T]``, 1 where there is a token.
    """

    prompt: Prompt
    classes: Tensor
    task: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.prompt)


class OmDetTurbo(HubModel):
    """Queries are compared with a text per class, and read a sentence that names the classes: "Detect fish, penguin.".

    The sentence is cut where it has more tokens than the text encoder reads (77), as the processor does it; a class
    that it lacks is still looked for by its own text. Boxes of a class suppress each other, as in the processor.
    transformers has no loss for the family, so that it is not tuned here.
    """

    network_class: ClassVar[str] = "OmDetTurboForObjectDetection"

    @classmethod
    def _config(cls, folder: Path) -> Any:
        """See :class:`HubModel`: without asking the hub.

        Published configurations name timm's backbone in fields of transformers 4. Version 5 asks the hub whether there
        is a repository of that name whenever it reads them, and fails where there is no network.
        """
        import transformers
        from packaging.version import Version

        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = fields.get("backbone")
        if name is None or fields.get("backbone_config") is not None or Version(transformers.__version__).major < 5:
            return transformers.AutoConfig.from_pretrained(folder)
        options = fields.get("backbone_kwargs") or {}
        body = {"model_type": "timm_backbone", "backbone": name, **options}
        kept = {key: fields[key] for key in fields.keys() - {"backbone", "backbone_kwargs", "use_timm_backbone"}}
        return transformers.OmDetTurboConfig.from_dict(kept | {"backbone_config": body})

    @classmethod
    def _processor(cls, folder: Path) -> Any:
        import transformers

        pictures = transformers.AutoImageProcessor.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, config=cls._config(folder))
        return transformers.OmDetTurboProcessor(pictures, tokenizer)

    def encode(self, prompt: Prompt) -> EncodedTask:
        """See :class:`Model`: texts longer than the text encoder reads are cut."""
        texts = [prompt.caption[start:end] for start, end in prompt.segments or prompt.spans]
        words = self._tokens(texts)
        sentence = self._tokens([f"Detect {', '.join(texts)}."])
        read = self.network.language_backbone  # not the network's own cache, which would outlive a change of weights
        with torch.no_grad():
            classes = read(words["input_ids"], encode_type="class")
            task, mask = read(sentence["input_ids"], mask=sentence["attention_mask"], encode_type="task")
        return EncodedTask(prompt, classes[:, None], task, mask)

    def _tokens(self, texts: list[str]) -> Any:
        length = self.network.config.text_config.max_position_embeddings
        return self.processor.tokenizer(
            texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(self.device)

    def scaled_side(self, length: float) -> int:
        """See :class:`HubModel`: the backbone reads images of one size."""
        size: int = self.processor.image_processor.size["height"]
        return size

    @torch.no_grad()
    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[VisionFeatures]:
        """See :class:`Model`: backbone and encoder, whatever is asked for."""
        images = [one for one in inputs if isinstance(one, ProcessedImage)]
        pixels = torch.cat([one.pixels for one in images]).to(self.device)
        levels = tuple(self.network.encoder(self.network.vision_backbone(pixels)).extracted_states)
        shapes = tuple((level.shape[-2], level.shape[-1]) for level in levels)
        mask = torch.cat([one.mask for one in images]).to(self.device)
        return split(VisionFeatures(levels, shapes, mask, images[0].hw), [one.hw for one in images])

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`.

        Raises:
            InputError: boxes are not finite.
        """
        features = [one for one in inputs if isinstance(one, VisionFeatures)] or list(self.encode_images(inputs))
        text = prompt if isinstance(prompt, EncodedTask) else self.encode(prompt)
        images = len(features)
        with torch.autocast(text.task.device.type, enabled=False):  # coordinates are too coarse in half precision
            found = self.network.decoder(
                [level.float() for level in joined(features).levels],
                text.classes.float().expand(-1, images, -1),
                text.task.float().expand(-1, images, -1),
                text.mask.expand(images, -1),
            )
        boxes, logits = found.decoder_coords[-1], found.decoder_classes[-1]
        if not (bool(boxes.isfinite().all()) and bool(logits.isfinite().all())):
            raise InputError(f"'{self.name}' gives boxes that are not finite: its weights are damaged")
        own = self.processor.post_process_grounded_object_detection(
            SimpleNamespace(
                decoder_coord_logits=boxes, decoder_class_logits=logits, classes_structure=[len(text)] * images
            ),
            threshold=0.0,
            nms_threshold=_NMS_OVERLAP,
            target_sizes=[one.hw for one in features],
        )
        return [_detections(one, image.hw) for one, image in zip(own, features, strict=True)]


def _detections(found: Any, hw: tuple[int, int]) -> Detections:
    """The best of what the processor gives, with inclusive corners."""
    best = found["scores"].sort(descending=True, stable=True).indices[:MOST]
    boxes = found["boxes"][best].cpu()
    limit = boxes.new_tensor([hw[1], hw[0]] * 2) - 1
    corners = (boxes - boxes.new_tensor([0, 0, 1, 1])).clamp(min=0).minimum(limit)
    return Detections(corners, found["scores"][best].cpu(), found["labels"][best].cpu())
