"""Low-rank updates as the folder that the library ``peft`` writes: adapter_config.json, adapter_model.safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glip_core.errors import InputError
from glip_core.modeling.low_rank import LowRank, WeightDecomposed
from odinw_bench.exporting.packages import need

_NAME = "default"  # of the adapter, in peft's words


@dataclass(frozen=True)
class LowRankUpdates:
    """What a run added to a base.

    Attributes:
        base: a model of the transformers library, as it was before tuning.
        layers: name of a module of ``base`` -> what adapts its weight.
        rank: as it was asked for; that of a small layer may be less.
        alpha: scale of the updates in units of ``1 / rank``.
        base_name: what the configuration calls the base: a repository on the hub, a folder, or a preset.
    """

    base: Any
    layers: Mapping[str, LowRank]
    rank: int
    alpha: float
    base_name: str

    @property
    def decomposed(self) -> bool:
        """Whether they are DoRA's."""
        return any(isinstance(layer, WeightDecomposed) for layer in self.layers.values())


def write_peft(updates: LowRankUpdates, out: Path) -> None:
    """Let ``peft`` make adapters of the same sizes, give them the values, and let it write its folder.

    Args:
        updates: their base is changed: it gets the adapters.
        out: the folder.

    Raises:
        InputError: ``peft`` is not installed.
    """
    peft = need("peft")
    for name, layer in updates.base.named_modules():
        assert name not in updates.layers or not isinstance(layer, nn.Conv2d) or layer.groups == 1, name
    config = peft.LoraConfig(
        r=updates.rank,
        lora_alpha=updates.alpha,
        target_modules=sorted(updates.layers),
        rank_pattern={
            name: rank for name, one in updates.layers.items() if (rank := one.lora_A.shape[0]) != updates.rank
        },
        use_dora=updates.decomposed,
        inference_mode=True,
    )
    model = peft.get_peft_model(updates.base, config)
    config.base_model_name_or_path = updates.base_name  # peft would write what the base calls itself
    found = {name: layer for name, layer in updates.base.named_modules() if hasattr(layer, "lora_A")}
    if set(found) != set(updates.layers):
        raise InputError(f"peft {peft.__version__} adapts other layers than the run did: pip install --upgrade peft")
    with torch.no_grad():
        for name, layer in found.items():
            _fill(layer, updates.layers[name])
    model.save_pretrained(str(out), save_embedding_layers=False)  # else it would ask the hub about the base


def _fill(layer: Any, update: LowRank) -> None:
    """Give one of peft's layers the values of ours: a convolution's matrices are convolutions there."""
    down, up = layer.lora_A[_NAME].weight, layer.lora_B[_NAME].weight
    assert layer.scaling[_NAME] == update.scale
    down.copy_(update.lora_A.view_as(down))
    up.copy_(update.lora_B.view_as(up))
    if isinstance(update, WeightDecomposed):
        length: Tensor = layer.lora_magnitude_vector[_NAME].weight
        length.copy_(update.magnitude.view_as(length))
