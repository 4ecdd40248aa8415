"""GLIP, the detector whose classes are the words of a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glip_core.config import DetectorConfig
from glip_core.detector.base import Detector, OnePrompt, Prompts, plain_prompt
from glip_core.errors import InputError
from glip_core.modeling.bert import LanguageBackbone
from glip_core.modeling.block import Block
from glip_core.modeling.fpn import VisionBackbone
from glip_core.modeling.heads import AlignmentHead
from glip_core.prompt import Prompt
from glip_core.types import EncodedPrompt, RawOutputs, TextFeatures


class GLIP(Detector):
    """Grounded Language-Image Pre-training (Li et al., CVPR 2022): classes are words of a prompt."""

    def __init__(
        self,
        config: DetectorConfig,
        *,
        vision: VisionBackbone,
        language: LanguageBackbone,
        blocks: Sequence[Block],
        head: AlignmentHead,
    ) -> None:
        super().__init__(config, vision=vision, blocks=blocks)
        self.language = language
        self.head = head
        self.prompt_offset: nn.Parameter | None = None

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See :meth:`Detector.encode`."""
        parts = self.language.chunks(prompt)
        if len(parts) > 1:
            return EncodedPrompt(prompt, None, tuple(self.encode(part) for part in parts))
        training = self.language.training
        self.language.eval()
        try:
            # Also inside a caller's inference mode: what is encoded for validation may serve training as well.
            with torch.inference_mode(False), torch.no_grad():
                return EncodedPrompt(prompt, self.language(prompt))
        finally:
            self.language.train(training)

    def encode_text(self, prompt: Prompts) -> TextFeatures:
        """Token features, a tuned offset included.

        Raises:
            InputError: the prompt is longer than the model reads, or than the one that was tuned.
        """
        if isinstance(prompt, EncodedPrompt):
            if prompt.text is None:
                self.language.tokenize(prompt.prompt)  # for its error: too long for one pass
                raise ValueError("the prompt was encoded by a detector without text")
            text = prompt.text
        else:
            text = self.language(prompt)
        if self.prompt_offset is None:
            return text
        tokens = text.hidden.shape[1]
        if tokens > len(self.prompt_offset):
            raise InputError(
                f"the prompt has {tokens} tokens but the tuned offset {len(self.prompt_offset)}: "
                "use the prompt that was tuned"
            )
        offset = self.prompt_offset[:tokens]
        return TextFeatures(text.embedded + offset, text.hidden + offset, text.mask)

    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """Alignment logits per token, box offsets, centerness."""
        if text is None:
            raise ValueError("GLIP needs text features")
        return self.head(features, text.hidden if self.config.fusion else text.embedded)

    def chunks(self, prompt: OnePrompt) -> Sequence[OnePrompt]:
        """See :meth:`glip_core.modeling.bert.LanguageBackbone.chunks`."""
        if isinstance(prompt, EncodedPrompt):
            return prompt.parts or [prompt]
        return self.language.chunks(prompt)

    def token_map(self, prompt: OnePrompt) -> list[list[int]]:
        """The tokens of each class."""
        return self.language.token_map(plain_prompt(prompt))

    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        columns = torch.zeros(len(prompt), width)
        for label, tokens in enumerate(self.token_map(prompt)):
            columns[label, tokens] = 1
        return columns

    def _token_mask(self, prompts: Sequence[Prompt], width: int, device: torch.device) -> Tensor | None:
        if all(p is prompts[0] for p in prompts):
            return None
        lengths = torch.tensor([len(self.language.tokenize(p).ids) for p in prompts], device=device)
        return torch.arange(width, device=device)[None] < lengths[:, None]
