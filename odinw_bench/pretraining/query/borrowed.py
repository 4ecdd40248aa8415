"""Weights of our own small models under the names of the transformers library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import torch
from torch import Tensor, nn

from glip_core import Detector
from glip_core.checkpoint import named_tensors
from glip_core.modeling.bert import NANO_VOCABULARY

_MARKS = {"[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
"""Ids that are written into the networks of the Grounding DINO families: those of bert-base-uncased."""

_SWIN, _BERT = "backbone.body.", "language_backbone.body.model."
_WORDS = "embeddings.word_embeddings.weight"


@cache
def words() -> tuple[str, ...]:
    """The tokens of the nano models by their ids."""
    return tuple(word for word in NANO_VOCABULARY.read_text(encoding="utf-8").split("\n") if word)


@cache
def vocabulary() -> Mapping[str, int]:
    """The same tokens with ids such that what splits a caption has those that are written into the networks."""
    table = list(words())
    table += [f"[unused{number}]" for number in range(len(table), max(_MARKS.values()) + 1)]
    for word, wanted in _MARKS.items():
        here = table.index(word)
        table[here], table[wanted] = table[wanted], word
    return {word: number for number, word in enumerate(table)}


def borrow_swin(backbone: nn.Module, detector: Detector) -> None:
    """Give a ``SwinBackbone`` the weights of a detector's Swin of the same size.

    Its input is RGB, ours BGR; the means and deviations of the three channels are the same.

    Args:
        backbone: of transformers; the normalisation after its last stage is one that nothing reads.
        detector: whose weights.
    """
    state = dict(_swin_names(_part(detector, _SWIN)))
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.startswith("swin.layernorm.")]
    assert not left and not unexpected, (left, unexpected)


def borrow_text(encoder: nn.Module, detector: Detector) -> None:
    """Give a ``BertModel`` the weights of a detector's text encoder of the same size; see :func:`vocabulary`."""
    state = _part(detector, _BERT)
    own = encoder.get_parameter(_WORDS).detach().clone()
    ids = torch.tensor([vocabulary()[word] for word in words()])
    own[ids] = state[_WORDS][: len(ids)]
    encoder.load_state_dict(state | {_WORDS: own}, strict=False)


def _part(detector: Detector, beginning: str) -> dict[str, Tensor]:
    named = named_tensors(detector, detector.config)
    return {
        name.removeprefix(beginning): value.detach().float()
        for name, value in named.items()
        if name.startswith(beginning)
    }


def _swin_names(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        if name.startswith("norm"):
            stage, _, kind = name.removeprefix("norm").partition(".")
            yield f"hidden_states_norms.stage{int(stage) + 1}.{kind}", value
        elif name.startswith("patch_embed."):
            kind = name.removeprefix("patch_embed.").replace("proj", "patch_embeddings.projection")
            flipped = value.flip(1) if value.ndim == 4 else value
            yield f"swin.embeddings.{kind}", flipped
        elif ".attn.qkv." in name:
            for part, one in zip("qkv", value.chunk(3), strict=True):
                yield "swin.encoder." + name.replace(".attn.qkv.", f".attention.{part}_proj."), one
        else:
            for ours, theirs in _RENAMED.items():
                name = name.replace(ours, theirs)
            yield f"swin.encoder.{name}", value


_RENAMED = {
    ".attn.proj.": ".attention.o_proj.",
    ".attn.relative_position_bias_table": ".attention.relative_position_bias.relative_position_bias_table",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
}
