"""An exported detector in place of the original one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from glip_core.detector.base import Detector, OnePrompt, Prompts, plain_prompt
from glip_core.errors import InputError
from glip_core.exporting.facts import ExportFacts
from glip_core.modeling.tokens import PromptTokens
from glip_core.prompt import Prompt
from glip_core.types import EncodedPrompt, RawOutputs, TextFeatures

Graph = Callable[..., Sequence[Tensor]]
"""Runs a graph: tensors in the order of its inputs -> its outputs, on the CPU."""


class ExportedDetector(Detector):
    """Graphs in place of the network; preprocessing, prompts and post-processing are those of any detector.

    Attributes:
        facts: of the export.

    Args:
        facts: see above.
        network: the image's graph.
        text: the text's graph, for a dynamic prompt.
    """

    def __init__(self, facts: ExportFacts, network: Graph, text: Graph | None) -> None:
        super().__init__(facts.config, vision=cast(Any, nn.Identity()), blocks=[])
        self.facts, self._network, self._text = facts, network, text
        self.postprocessing = facts.postprocessing
        self.weights_sha256 = facts.weights_sha256
        self._tokens = _tokens(facts) if facts.vocabulary else None
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where its tensors go in and come out."""
        return torch.device("cpu")

    def check(self, prompt: Prompt) -> None:
        """Check that a prompt can be asked for.

        Raises:
            InputError: it was exported for another one.
        """
        own = self.facts.prompt
        if own is None:
            return
        if self.facts.class_head:
            if own.names != prompt.names:
                raise InputError(
                    f"it was exported for the classes {_listed(own)}, not for {_listed(prompt)}: "
                    "export a run of this task"
                )
        elif (own.caption, own.spans) != (prompt.caption, prompt.spans):
            raise InputError(
                f"it was exported for the prompt '{own.caption[:80]}', not for '{prompt.caption[:80]}': "
                "export it for that one, or with --dynamic-prompt"
            )

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See :meth:`Detector.encode`; with a dynamic prompt the text's graph runs."""
        self.check(prompt)
        if self._tokens is None or self._text is None:
            return EncodedPrompt(prompt, None)
        parts = self._tokens.chunks(prompt)
        if len(parts) > 1:
            return EncodedPrompt(prompt, None, tuple(self.encode(part) for part in parts))
        ids = torch.tensor([self._tokens.tokenize(prompt).ids])
        hidden = self._text(ids)[0].float()
        return EncodedPrompt(prompt, TextFeatures(hidden, hidden, torch.ones(ids.shape, dtype=torch.bool)))

    def encode_text(self, prompt: Prompts) -> TextFeatures | None:
        """See :meth:`Detector.encode_text`; None where the features are part of the graph."""
        if isinstance(prompt, EncodedPrompt):
            return prompt.text
        if not isinstance(prompt, Prompt):
            raise InputError("an exported detector takes one image at a time")
        return self.encode(prompt).text

    def encode_image(self, pixels: Tensor) -> list[Tensor]:
        """The pixels themselves: what happens to them is one graph."""
        return [pixels]

    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """The whole image graph, one image after the other."""
        (pixels,) = features
        inputs = () if text is None else (text.hidden,)
        found = [[x.float() for x in self._network(one[None].float().cpu(), *inputs)] for one in pixels]
        joined = [torch.cat(parts) for parts in zip(*found, strict=True)]
        levels = len(self.config.anchor_strides)
        return RawOutputs(joined[:levels], joined[levels : 2 * levels], joined[2 * levels :])

    def chunks(self, prompt: OnePrompt) -> Sequence[OnePrompt]:
        """See :meth:`Detector.chunks`."""
        if isinstance(prompt, EncodedPrompt):
            return prompt.parts or [prompt]
        return [prompt] if self._tokens is None else self._tokens.chunks(prompt)

    def token_map(self, prompt: OnePrompt) -> list[list[int]] | None:
        """See :meth:`Detector.token_map`."""
        self.check(plain_prompt(prompt))
        if self._tokens is not None:
            return self._tokens.token_map(plain_prompt(prompt))
        tokens = self.facts.token_map
        return None if tokens is None else [list(one) for one in tokens]

    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        raise InputError("an exported detector cannot be trained: tune the original")


def _tokens(facts: ExportFacts) -> PromptTokens:
    from tokenizers import BertWordPieceTokenizer

    numbers = {token: number for number, token in enumerate(facts.vocabulary)}
    return PromptTokens(BertWordPieceTokenizer(numbers, lowercase=True), facts.config.max_tokens)


def _listed(prompt: Prompt) -> str:
    return ", ".join(prompt.names)[:80]
