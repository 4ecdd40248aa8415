"""GLIP under the library ``peft``: its adapters become part of the weights before the network runs."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from glip_core.errors import InputError


def merge_adapters(model: nn.Module) -> None:
    """Add the active adapters to the weights that they belong to; where they are disabled, take them out again.

    ``peft`` adds what an adapter computes to the output of a layer. GLIP's fusion and attention read weights without
    calling their layers (see :mod:`glip_core.modeling.low_rank`), and would pass adapters over without an error.

    Args:
        model: any; one without adapters stays as it is.

    Raises:
        InputError: the adapters are being trained, which needs them apart from the weights.
    """
    library: Any = sys.modules.get("peft.tuners.tuners_utils")
    if library is None:  # not imported: nothing in the model can be of it
        return
    layers: list[Any] = [layer for layer in model.modules() if isinstance(layer, library.BaseTunerLayer)]
    for layer in layers:
        if torch.is_grad_enabled() and any(
            parameter.requires_grad for name in layer.adapter_layer_names for parameter in _values(layer, name)
        ):
            raise InputError(
                "peft cannot train this model: layers whose weights GLIP reads itself would be passed over; tune it "
                "with odinw-bench run --mode lora, or load the adapter for prediction alone"
            )
        if layer.disable_adapters:
            if layer.merged:
                layer.unmerge()
        elif not layer.merged:
            layer.merge()


def _values(layer: Any, name: str) -> list[nn.Parameter]:
    held = getattr(layer, name, None)
    return list(held.parameters()) if isinstance(held, nn.Module) else []
