"""GLIP under the library ``peft``: its adapters are part of the weights while the network runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import torch
from torch import nn

from glip_core.errors import InputError

_ONE_PASS = RLock()  # the weights of a model with adapters are those of one pass at a time


@contextmanager
def merged_adapters(model: nn.Module) -> Iterator[None]:
    """While open, the active adapters are added to the weights that they belong to.

    ``peft`` adds what an adapter computes to the output of a layer. GLIP's fusion and attention read weights without
    calling their layers (see :mod:`glip_core.modeling.low_rank`), and would pass adapters over without an error.

    Copies are merged, and the weights themselves put back behind each pass: adapters may be loaded over, chosen and
    disabled between two passes, and what is saved is the base. Adapters that their owner merged stay merged.

    Args:
        model: any; one without adapters stays as it is.

    Raises:
        InputError: adapters, or weights under them, are being trained, which needs them apart from each other.
    """
    library: Any = sys.modules.get("peft.tuners.tuners_utils")
    layers: list[Any] = []
    if library is not None:  # not imported: nothing in the model can be of it
        layers = [layer for layer in model.modules() if isinstance(layer, library.BaseTunerLayer)]
    if not layers:
        yield
        return
    if torch.is_grad_enabled() and any(p.requires_grad for layer in layers for p in layer.parameters()):
        raise InputError(
            "peft cannot train this model: layers whose weights GLIP reads itself would be passed over; tune it "
            "with odinw-bench run --mode lora, or load the adapter for prediction alone"
        )
    changed: list[tuple[Any, Any, dict[str, nn.Parameter | None]]] = []
    with _ONE_PASS:
        try:
            for layer in layers:
                if layer.disable_adapters and layer.merged:  # as peft's own layers do when they are called
                    layer.unmerge()
                if layer.disable_adapters or layer.merged:
                    continue
                base = layer.get_base_layer()
                own = dict(base._parameters)
                changed.append((layer, base, own))
                for name, value in own.items():
                    if value is not None:
                        base._parameters[name] = nn.Parameter(value.detach().clone(), requires_grad=False)
                layer.merge()
            yield
        finally:
            for layer, base, own in reversed(changed):
                base._parameters.update(own)
                layer.merged_adapters.clear()
