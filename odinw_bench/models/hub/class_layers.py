"""New class layers: a closed-set detector's own know only the classes that it was trained on."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

_PRIOR = 0.01
"""Score of every class before training, as in RetinaNet and DyHead."""


def renew(network: Any, names: tuple[str, ...], classes: int) -> None:
    """Replace class layers by randomly initialised ones; layers that shared their weights share the new ones.

    Args:
        network: of the transformers library; its configuration gets the new classes.
        names: beginnings of the layers' names. An embedding of classes has a row more than there are classes.
        classes: their number, at least 1.
    """
    made: dict[int, nn.Module] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name.startswith(names) and isinstance(module, nn.Linear | nn.Embedding):
            holder, _, last = name.rpartition(".")
            fresh = made.setdefault(id(module.weight), _fresh(module, classes))
            setattr(network.get_submodule(holder), last, fresh)
    network.config.num_labels = classes


def _fresh(module: nn.Linear | nn.Embedding, classes: int) -> nn.Module:
    if isinstance(module, nn.Embedding):
        return nn.Embedding(classes + 1, module.embedding_dim, padding_idx=classes)
    layer = nn.Linear(module.in_features, classes)
    with torch.no_grad():
        layer.weight.normal_(std=0.01)
        layer.bias.fill_(-math.log((1 - _PRIOR) / _PRIOR))
    return layer
