"""A detector as graphs: one of the image's side, with the prompt's features inside or as an input, one of the text's.

Everything before post-processing is in the graph; boxes, scores and non-maximum suppression are made of its outputs by
:mod:`glip_core.postprocess`, so that an exported detector follows the same rules as the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from glip_core.detector import GLIP, Detector
from glip_core.errors import InputError
from glip_core.exporting.facts import ExportFacts, prompt_facts
from glip_core.modeling import cpu
from glip_core.preprocess import PAD_MULTIPLE
from glip_core.prompt import Prompt
from glip_core.types import TextFeatures

INPUTS = ("pixels", "text")
"""Inputs of the image's graph: ``[1, 3, H, W]`` and, with a dynamic prompt, ``[1, T, D]``."""

TEXT_INPUTS = ("ids",)
"""Input of the text's graph: int64 ``[1, T]``; its output is the ``text`` of the other one."""

_OUTPUTS = ("logits", "deltas", "centerness")
_EXAMPLE_HW = (192, 256)  # one that none of the strides and windows makes special
_EXAMPLE_TOKENS = 7
_LARGEST_SIDE = 128  # in units of 32 pixels


@dataclass(frozen=True)
class Traced:
    """A detector as graphs.

    Attributes:
        network: of pixels (and text features): for each level logits, then offsets, then centerness.
        text: of token numbers, for a dynamic prompt; else None.
        facts: what else is needed to use them.
    """

    network: ExportedProgram
    text: ExportedProgram | None
    facts: ExportFacts


def output_names(levels: int) -> list[str]:
    """Names of the image graph's outputs: ``logits_p3``, ..., ``centerness_p7``."""
    return [f"{kind}_p{level + 3}" for kind in _OUTPUTS for level in range(levels)]


def trace(detector: Detector, prompt: Prompt | None, *, source: str = "") -> Traced:
    """Trace a detector for images of any size in multiples of 32 pixels, one at a time.

    Low-rank updates are sums of constants in the graph, which its runtime folds into the weights; a tuned offset is
    part of the features of its prompt.

    Args:
        detector: not changed.
        prompt: its features become constants of the graph; None: text features are an input.
        source: where it comes from, for people.

    Raises:
        InputError: a prompt that is too long for one pass, or not the tuned one; or None with a tuned offset or a
            class layer, which belong to certain classes.
    """
    training = detector.training
    detector.eval()
    try:
        with torch.no_grad():
            if prompt is None:
                network, text = _with_text_input(detector), _text(detector)
            else:
                network, text = _with_prompt(detector, prompt), None
    finally:
        detector.train(training)
    return Traced(network, text, prompt_facts(detector, prompt, source=source))


class _Network(nn.Module):
    """Pixels and text features -> outputs of the heads; only the parts that the graph needs are submodules."""

    def __init__(self, detector: Detector, text: TextFeatures | None = None) -> None:
        super().__init__()
        self.vision, self.tower = detector.vision, detector.tower
        self.head = detector.get_submodule("head")
        self.fused = detector.config.fusion is not None
        self.reads_text = isinstance(detector, GLIP)
        self.baked: Tensor | None
        self.register_buffer("baked", None if text is None else text.hidden.detach().clone())

    def forward(self, pixels: Tensor, text: Tensor | None = None) -> tuple[Tensor, ...]:
        # Sizes as multiples of 32 by construction: what the strides and windows make of them then stays simple.
        height, width = pixels.shape[2] // PAD_MULTIPLE, pixels.shape[3] // PAD_MULTIPLE
        levels = self.vision(pixels.reshape(1, 3, height * PAD_MULTIPLE, width * PAD_MULTIPLE))
        words = self.baked if text is None else text
        features = None
        if words is not None:  # without padding both kinds of features are the same
            features = TextFeatures(words, words, words.new_ones(words.shape[:2], dtype=torch.bool))
        for block in self.tower:
            levels, features = block(levels, features)
        raw = self.head(levels) if features is None else self.head(levels, features.hidden)
        return (*raw.logits, *raw.box_deltas, *raw.centerness)


class _Text(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.encoder(ids)
        return hidden


def _with_prompt(detector: Detector, prompt: Prompt) -> ExportedProgram:
    if len(detector.chunks(prompt)) > 1:
        raise InputError(
            f"the prompt of {len(prompt)} classes is longer than '{detector.config.name}' reads at a time: export it "
            "with a dynamic prompt (--dynamic-prompt), which is asked in parts"
        )
    detector.token_map(prompt)  # for its error, where classes are columns
    return _export(_Network(detector, detector.encode_text(prompt)), (_pixels(detector),), (_image_dims(),))


def _with_text_input(detector: Detector) -> ExportedProgram:
    if not isinstance(detector, GLIP):
        raise InputError(f"'{detector.config.name}' reads no prompts: leave --dynamic-prompt out")
    if detector.prompt_offset is not None:
        raise InputError("a tuned prompt offset belongs to the prompt it was tuned for: leave --dynamic-prompt out")
    text = torch.zeros(1, _EXAMPLE_TOKENS, detector.head.bias_lang.shape[0], device=detector.device)
    return _export(_Network(detector), (_pixels(detector), text), (_image_dims(), {1: _tokens(detector)}))


def _text(detector: Detector) -> ExportedProgram:
    assert isinstance(detector, GLIP)
    ids = torch.ones(1, _EXAMPLE_TOKENS, dtype=torch.long, device=detector.device)
    return _export(_Text(detector.language.encoder), (ids,), ({1: _tokens(detector)},))


def _pixels(detector: Detector) -> Tensor:
    return torch.zeros(1, 3, *_EXAMPLE_HW, device=detector.device)


def _image_dims() -> dict[int, Any]:
    return {axis + 2: PAD_MULTIPLE * Dim(name, min=1, max=_LARGEST_SIDE) for axis, name in enumerate("hw")}


def _tokens(detector: Detector) -> Any:
    return Dim("tokens", min=2, max=detector.config.max_tokens)


def _export(module: nn.Module, example: tuple[Tensor, ...], dims: Sequence[dict[int, Any]]) -> ExportedProgram:
    from torch.fx.experimental import _config

    settings: Any = _config

    # Without it torch would reason for minutes about sizes of 1, which mean nothing special here.
    with settings.patch(backed_size_oblivious=True), cpu.general_paths_without_padding():
        return torch.export.export(module, example, dynamic_shapes=tuple(dims), strict=False)
