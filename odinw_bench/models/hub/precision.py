"""What is computed in float32 even under autocast: where a detector places its boxes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def keep_float32(network: nn.Module, names: Iterable[str]) -> None:
    """From now on some modules compute in float32 on float32 inputs, whatever autocast says.

    Coordinates in parts of an image are too coarse in bf16: above 0.5 it has a value for every 7.5 of 1,920 pixels.
    Without autocast nothing changes.

    Args:
        network: that has the modules; it stays on its device.
        names: of them; a list of modules stands for its members.
    """
    device = next(network.parameters()).device.type
    for name in names:
        module = network.get_submodule(name)
        for one in module if isinstance(module, nn.ModuleList) else (module,):
            one.forward = partial(_in_float32, one, device)


def _in_float32(module: nn.Module, device: str, *inputs: Any, **named: Any) -> Any:
    forward = type(module).forward
    if not torch.is_autocast_enabled(device):
        return forward(module, *inputs, **named)
    with torch.autocast(device, enabled=False):
        return forward(module, *as_float32(inputs), **as_float32(named))


def as_float32(value: Any) -> Any:
    """A value whose floating-point tensors, also those in tuples, lists and dictionaries, are float32."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: as_float32(one) for key, one in value.items()}
    return type(value)(as_float32(one) for one in value) if type(value) in (tuple, list) else value


def give_float32(module: nn.Module) -> None:
    """From now on what a module returns is float32."""
    module.register_forward_hook(lambda _module, _inputs, outputs: as_float32(outputs))
