"""Grounding DINO (Liu et al., ECCV 2024) through transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL.Image import Image
from torch import Tensor

from glip_core import Detections, InputError, Prompt
from glip_core.files import file_sha256
from odinw_bench.models.adapter import Adapter

MOST = 300
"""Detections of an image, as in the published evaluation."""

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


class GroundingDino(Adapter):
    """Any checkpoint of that class, from the hub or a folder.

    The score of a class is the mean probability of its tokens (Grounding DINO paper, section 3; the evaluation of
    its authors normalises the map from tokens to classes).

    Attributes:
        repository: on the hub.
    """

    repository: ClassVar[str]

    @classmethod
    def identify(cls, weights: str | None) -> str:
        """See :class:`Adapter`; ``weights`` is a folder, or a repository on the hub."""
        return file_sha256(cls._file(weights))

    def __init__(self, weights: str | None, device: str) -> None:
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor
        from transformers.utils import logging

        logging.disable_progress_bar()
        source = self._file(weights).parent
        self.processor: Any = AutoProcessor.from_pretrained(source)
        model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(source, use_safetensors=True)
        self.model = model.to(device).eval()
        self.device = device

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @torch.no_grad()
    def detect(self, image: Image, prompt: Prompt) -> Detections:
        """See :class:`Adapter`. Classes that do not fit into one text are asked for in parts."""
        found = self._all(image, prompt)
        best = found.scores.sort(descending=True, stable=True).indices[:MOST]
        return Detections(found.boxes[best], found.scores[best], found.labels[best])

    def _all(self, image: Image, prompt: Prompt) -> Detections:
        text = prompt.caption if prompt.caption.endswith(".") else f"{prompt.caption}."
        encoding = self.processor.tokenizer(text, truncation=False).encodings[0]
        if len(encoding.ids) > self.model.config.max_text_len:
            return self._in_parts(image, prompt)
        tokens = prompt.token_map(encoding)
        inputs = self.processor(images=image, text=text, return_tensors="pt")
        outputs = self.model(**inputs.to(self.device))
        return _detections(outputs.logits[0].float(), outputs.pred_boxes[0].float(), tokens, image.size)

    def _in_parts(self, image: Image, prompt: Prompt) -> Detections:
        if len(prompt) == 1:
            raise InputError(f"'{prompt.names[0][:60]}' alone is longer than the text that '{self.name}' reads")
        half = len(prompt) // 2
        first, second = self._all(image, prompt.part(0, half)), self._all(image, prompt.part(half, len(prompt)))
        return Detections(
            torch.cat([first.boxes, second.boxes]),
            torch.cat([first.scores, second.scores]),
            torch.cat([first.labels, second.labels + half]),
        )

    @classmethod
    def _file(cls, weights: str | None) -> Path:
        """The weights' file; beside it lie configuration and tokenizer."""
        from huggingface_hub import snapshot_download

        name = weights or cls.repository
        folder = Path(name)
        if not folder.is_dir():
            if name.startswith((".", "/", "~")) or name.count("/") != 1:
                raise InputError(f"weights folder '{name}' not found; give one, or OWNER/NAME on the hub")
            try:
                folder = Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.safetensors"]))
            except Exception as error:  # what a lost connection raises depends on huggingface_hub's version
                raise InputError(
                    f"'{name}' could not be downloaded ({type(error).__name__}): fetch "
                    f"https://huggingface.co/{name} by hand and pass --weights FOLDER"
                ) from error
        for file in _WEIGHTS:
            if (folder / file).is_file():
                return folder / file
        raise InputError(f"'{folder}' holds no model.safetensors")


class GroundingDinoT(GroundingDino):
    """With Swin-T."""

    name = "grounding-dino-t"
    title = "Grounding DINO, Swin-T"
    repository = "IDEA-Research/grounding-dino-tiny"


class GroundingDinoB(GroundingDino):
    """With Swin-B."""

    name = "grounding-dino-b"
    title = "Grounding DINO, Swin-B"
    repository = "IDEA-Research/grounding-dino-base"


def _detections(logits: Tensor, boxes: Tensor, tokens: list[list[int]], size: tuple[int, int]) -> Detections:
    """The best pairs of query and class.

    Args:
        logits: ``[Q, T]``, minus infinity where a token is none.
        boxes: ``[Q, 4]``, centre and size in parts of the image.
        tokens: of each class.
        size: (width, height) of the image.
    """
    share = torch.zeros(len(tokens), logits.shape[1], device=logits.device)
    for number, indices in enumerate(tokens):
        if indices:
            share[number, indices] = 1 / len(indices)
    scores = (logits.sigmoid() @ share.T).flatten()
    best = scores.sort(descending=True, stable=True).indices[:MOST]
    labels, queries = best % len(tokens), best // len(tokens)
    scale = torch.tensor([*size, *size], dtype=boxes.dtype, device=boxes.device)
    centre, extent = (boxes[queries] * scale).split(2, dim=1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2 - 1], dim=1)  # inclusive corners
    limit = scale - 1
    return Detections(corners.clamp(min=0).minimum(limit).cpu(), scores[best].cpu(), labels.cpu())
