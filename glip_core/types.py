"""What travels between the parts of a detector: small dataclasses of tensors.

Boxes are ``(x1, y1, x2, y2)`` with *inclusive* corners, the legacy convention of the official checkpoints:
a box that covers one pixel has ``x1 == x2``, and a width is ``x2 - x1 + 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glip_core.prompt import Prompt


@dataclass(frozen=True)
class Targets:
    """The ground truth of one image, in pixels of the resized (not yet padded) network input.

    Attributes:
        boxes: float ``[M, 4]``, inclusive corners.
        labels: int64 ``[M]``, class indices from 0 in the order of the prompt.
    """

    boxes: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Targets:
        """The same targets on another device."""
        return Targets(self.boxes.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: float ``[N, 4]``, inclusive corners in pixels of the image that the caller meant (the unpadded
            network input for ``detect``, the original photo for ``predict``).
        scores: float ``[N]`` in 0..1.
        labels: int64 ``[N]``, class indices from 0 in the order of the prompt.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def to(self, device: torch.device | str) -> Detections:
        """The same detections on another device."""
        return Detections(self.boxes.to(device), self.scores.to(device), self.labels.to(device))


@dataclass(frozen=True)
class TextFeatures:
    """A batch of encoded prompts, real tokens only ([CLS] ... [SEP]).

    The leading size P is 1 when all images share one prompt, else the number of images.

    Attributes:
        embedded: ``[P, T, D]``, what a head without fusion compares pixels to.
        hidden: ``[P, T, D]``, what deep fusion starts from.
        mask: bool ``[P, T]``, False where a shorter prompt was padded to the longest of the batch.
    """

    embedded: Tensor
    hidden: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> TextFeatures:
        """The same features on another device."""
        return TextFeatures(self.embedded.to(device), self.hidden.to(device), self.mask.to(device))


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """A prompt with the output of the language backbone, which then need not run for every image.

    Made by :meth:`glip_core.Detector.encode` and accepted wherever a detector takes a prompt. It stays valid as long
    as the weights of the language backbone do; a tuned offset is added on each use and may change.

    Attributes:
        prompt: the prompt.
        text: the features of its tokens without a tuned offset; None for a detector without text, and for a prompt
            that is read in parts.
        parts: of a prompt longer than the model reads, consecutive parts that fit, else empty.
    """

    prompt: Prompt
    text: TextFeatures | None
    parts: tuple[EncodedPrompt, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True)
class RawOutputs:
    """What the heads say before any decoding, one entry per level, P3 first.

    Attributes:
        logits: ``[B, H*W, T]`` per level: alignment of each position (row-major) with each token of the
            prompt; for a class-head detector T is the number of classes.
        box_deltas: ``[B, 4, H, W]`` per level, offsets from the anchors in the coder's units.
        centerness: ``[B, 1, H, W]`` per level, a logit.
    """

    logits: list[Tensor]
    box_deltas: list[Tensor]
    centerness: list[Tensor]
