"""Less memory for more time: layers of a network that are computed again in the backward pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

_REPEATED = re.compile(r"(^|\.)(layers?|\w*blocks|stages)\.\d+$")
"""What transformers calls the members of a list of layers; a backbone's may be stages."""


def recompute_layers(network: nn.Module, *, on: bool) -> None:
    """Keep only the inputs of layers for the backward pass, and compute them again there: the same gradients.

    transformers' own gradient checkpointing would not do (5.24): RT-DETRv2, D-FINE and DEIMv2 have none of their own,
    that of Grounding DINO's decoder gives its layers wrong arguments, and elsewhere it has no effect on layers in
    evaluation mode, in which most modes tune.

    Args:
        network: of the transformers library.
        on: else all is as before.
    """
    for layer in _outermost(network):
        if on:
            layer.forward = partial(_recomputed, layer)
        else:
            vars(layer).pop("forward", None)


def _outermost(network: nn.Module) -> Iterator[nn.Module]:
    """Members of lists of layers that are no part of another one, and have parts."""
    last = None
    for name, module in network.named_modules():
        inside = last is not None and name.startswith(f"{last}.")
        if not inside and _REPEATED.search(name) and any(True for _ in module.children()):
            last = name
            yield module


def _recomputed(layer: nn.Module, *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return _computed(layer, inputs, named)
    # Not as named arguments: among these it would not look for the devices whose random numbers it must repeat.
    return checkpoint(_computed, layer, inputs, named, use_reentrant=False)


def _computed(layer: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any]) -> Any:
    return type(layer).forward(layer, *inputs, **named)
