"""Low-rank adaptation of weights: LoRA (Hu et al., ICLR 2022) and DoRA (Liu et al., ICML 2024).

An adapted weight is a *parametrisation* (:mod:`torch.nn.utils.parametrize`): whoever reads ``layer.weight`` gets the
adapted one. Deep fusion multiplies weights with each other before they meet a pixel, timm and transformers hand theirs
to fused kernels, and deformable layers rearrange them; a wrapper around the layer's ``forward``, which is what adapter
libraries use, would be passed over by all of these without an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

DOWN, UP, MAGNITUDE = "lora_A", "lora_B", "magnitude"
"""Endings of the names of what is trained."""


class LowRank(nn.Module):
    """``W + alpha / rank * B A``; B begins at 0, so that nothing changes before training.

    Args:
        weight: the frozen weight, ``[out, in]``, or of a convolution ``[out, in, kh, kw]``.
        rank: of the update; larger than the weight's own rank is cut to it.
        alpha: scale of the update in units of ``1 / rank``.
    """

    def __init__(self, weight: Tensor, *, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        self.scale = alpha / rank
        self.lora_A = nn.Parameter(weight.new_empty(rank, columns))  # (r, in)
        self.lora_B = nn.Parameter(weight.new_zeros(rows, rank))  # (out, r)
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # as for a new linear layer

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight, of the same shape."""
        return weight + (self.lora_B @ self.lora_A * self.scale).view_as(weight)


class WeightDecomposed(LowRank):
    """DoRA: direction and length of each row are adapted apart: ``m (W + dW) / |W + dW|``, rows of length ``m``.

    Args:
        weight: see :class:`LowRank`.
        rank: likewise.
        alpha: likewise.
    """

    def __init__(self, weight: Tensor, *, rank: int, alpha: float) -> None:
        super().__init__(weight, rank=rank, alpha=alpha)
        self.magnitude = nn.Parameter(_lengths(weight).detach().clone())  # (out, 1)

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight, of the same shape."""
        adapted = super().forward(weight)
        # The length in the denominator is taken as a constant, as in the paper (section 4.3): less memory, same AP.
        factor = self.magnitude / _lengths(adapted).detach().clamp(min=torch.finfo(weight.dtype).tiny)
        return adapted * factor.view(-1, *(1,) * (weight.dim() - 1))


def _lengths(weight: Tensor) -> Tensor:
    """``[out, 1]``: Euclidean length of each row."""
    return weight.flatten(1).norm(dim=1, keepdim=True)


def adapt(layers: Iterable[nn.Module], *, rank: int, alpha: float, decomposed: bool = False) -> None:
    """Adapt the weights of some layers; what was trainable in them is frozen.

    Args:
        layers: linear or convolutional, each with a ``weight``.
        rank: see :class:`LowRank`.
        alpha: likewise.
        decomposed: DoRA in place of LoRA.
    """
    kind = WeightDecomposed if decomposed else LowRank
    for layer in layers:
        weight = layer.weight
        assert isinstance(weight, nn.Parameter), "adapted already"
        weight.requires_grad_(False)
        # unsafe: torch would call the module once to check what is checked here: shape and type stay.
        parametrize.register_parametrization(layer, "weight", kind(weight, rank=rank, alpha=alpha), unsafe=True)


def is_adapted(layer: nn.Module) -> bool:
    """Whether :func:`adapt` was applied to a layer."""
    return parametrize.is_parametrized(layer, "weight")


def update_of(layer: nn.Module) -> LowRank:
    """What adapts the weight of a layer."""
    parametrised: Any = layer
    found: LowRank = parametrised.parametrizations.weight[0]
    return found


def computed_once() -> AbstractContextManager[None]:
    """While open, each adapted weight is computed once, however often it is read: the head's layers read it per level.

    Not where parts of the network are computed again for the backward pass: both times must do the same.
    """
    once: AbstractContextManager[None] = parametrize.cached()
    return once


def merge(model: nn.Module) -> None:
    """Make the adapted weights of a model ordinary ones: the same outputs, without the cost of the update."""
    for layer in list(model.modules()):
        if is_adapted(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def remove(model: nn.Module) -> None:
    """Take the adaptation away: the model is what it was before."""
    for layer in list(model.modules()):
        if is_adapted(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
