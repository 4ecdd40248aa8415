"""Prompts of the Grounding DINO families: tokens, their features, and prompts that are read in parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glip_core import Prompt


def closed_caption(prompt: Prompt) -> str:
    """The caption of a prompt with the dot at its end that these models were trained with."""
    return prompt.caption if prompt.caption.endswith(".") else f"{prompt.caption}."


@dataclass(frozen=True, eq=False)
class EncodedText:
    """A prompt as the network reads it.

    Attributes:
        prompt: the classes.
        ids: int64 ``[1, T]``, the tokens of the caption, [CLS] and [SEP] included.
        tokens: of each class.
        features: ``[1, T, D]``, what enters the fusion, without a tuned offset; None: to be computed on each use.
        parts: of a prompt that is longer than the model reads, consecutive parts that fit, else empty.
    """

    prompt: Prompt
    ids: Tensor
    tokens: tuple[tuple[int, ...], ...]
    features: Tensor | None = None
    parts: tuple[EncodedText, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt)

    def with_features(self, features: Tensor) -> EncodedText:
        """The same prompt with its features."""
        return replace(self, features=features)

    def label_map(self, length: int) -> Tensor:
        """``[C, length]``, 1 where a token stands for a class; on the device of the tokens."""
        found = torch.zeros(len(self.tokens), length, dtype=torch.int64, device=self.ids.device)
        for number, tokens in enumerate(self.tokens):
            found[number, list(tokens)] = 1
        return found
