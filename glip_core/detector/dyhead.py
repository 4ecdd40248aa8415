"""DyHead, the detector with a class layer in place of a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glip_core.config import DetectorConfig
from glip_core.detector.base import Detector, OnePrompt, Prompts
from glip_core.errors import InputError
from glip_core.modeling.block import Block
from glip_core.modeling.fpn import VisionBackbone
from glip_core.modeling.heads import ClassHead
from glip_core.prompt import Prompt
from glip_core.types import EncodedPrompt, RawOutputs, TextFeatures


class DyHead(Detector):
    """The class-head baseline (Dai et al. 2021): the same backbone and tower, one output per known class."""

    def __init__(
        self, config: DetectorConfig, *, vision: VisionBackbone, blocks: Sequence[Block], head: ClassHead
    ) -> None:
        super().__init__(config, vision=vision, blocks=blocks)
        self.head = head

    @property
    def num_classes(self) -> int:
        """Columns of the class layer."""
        return self.head.cls_logits.out_channels

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """The prompt as it is: there is no language backbone."""
        return EncodedPrompt(prompt, None)

    def encode_text(self, prompt: Prompts) -> None:
        """Nothing: classes are indices here."""
        return None

    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """Class logits, box offsets, centerness."""
        return self.head(features)

    def token_map(self, prompt: OnePrompt) -> None:
        """None: columns are classes.

        Raises:
            InputError: the prompt names another number of classes than the class layer has.
        """
        if len(prompt) != self.num_classes:
            raise InputError(
                f"the class layer of '{self.config.name}' knows {self.num_classes} classes, the task has {len(prompt)}"
            )
        return None

    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        self.token_map(prompt)
        return torch.eye(width)
