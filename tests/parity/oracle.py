"""The numerical oracle: made-up weights by rule, and stored arrays of the official implementation."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX1, MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
CHUNK = 1 << 22


def uniform(key: str, count: int) -> np.ndarray:
    """The first ``count`` values u of a name's stream, float64 in 0..1 (SplitMix64)."""
    start = np.uint64(zlib.crc32(key.encode())) << np.uint64(32)
    out = np.empty(count)
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        z = np.arange(first, last, dtype=np.uint64)
        z += start
        z += GOLDEN
        z = (z ^ (z >> np.uint64(30))) * MIX1
        z = (z ^ (z >> np.uint64(27))) * MIX2
        z ^= z >> np.uint64(31)
        out[first:last] = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return out


def weight(key: str, shape: list[int]) -> torch.Tensor:
    """The made-up weight of an official name, by the table of the oracle's README, section 2."""
    w = 2 * uniform(key, int(np.prod(shape))) - 1
    fan = np.sqrt(3.0 / max(int(np.prod(shape[1:])), 1)) if len(shape) > 1 else 1.0

    def ends(*names: str) -> bool:
        return key.endswith(names)

    if ends("gamma_v", "gamma_l"):
        value = 0.25 + 0.1 * w
    elif ends(".scale"):
        value = 1 + 0.3 * w
    elif ends(".bias_lang"):
        value = w
    elif ends(".bias0", "cls_logits.bias"):
        value = -4 + 0.5 * w
    elif ends("attn.v_proj.bias", "attn.l_proj.bias", "self.query.bias", "AttnConv.1.bias", "centerness.bias"):
        value = 0.5 * w
    elif ends("dot_product_projection_text.weight"):
        value = (24 * w) * fan
    elif ends("cls_logits.weight", "bbox_pred.weight", "centerness.weight", "AttnConv.1.weight", "relu.fc.2.weight"):
        value = (4 * w) * fan
    elif ends("attention.self.query.weight", "attention.self.key.weight"):
        value = (2 * w) * fan
    elif ends("attention.output.dense.weight"):
        value = (0.25 * w) * fan
    elif len(shape) >= 2:
        value = w * fan
    elif ends(".weight"):
        value = 1 + 0.1 * w
    else:
        value = 0.1 * w
    return torch.from_numpy(value.astype(np.float32)).reshape(shape)


def state_dict(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """All tensors of a model, each checked against the stored crc32."""
    state = {}
    for entry in json.loads((folder / f"{name}.keys.json").read_text())["tensors"]:
        key, shape = entry["key"], entry["shape"]
        if entry["dtype"] != "float32" or "cell_anchors" in key:
            state[key] = torch.zeros(shape, dtype=getattr(torch, entry["dtype"]))
            continue
        tensor = weight(key, shape)
        assert zlib.crc32(tensor.numpy().tobytes()) == entry["crc32"], key
        state[key] = tensor
    return state


class Case:
    """One stored case: ``facts`` is its JSON, arrays come by :meth:`array` or are compared by :meth:`close`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.facts = json.loads((folder / f"{name}.json").read_text())
        self.arrays = np.load(folder / f"{name}.npz")

    def array(self, key: str) -> torch.Tensor:
        """An array that is stored whole."""
        info = self.facts["arrays"][key]
        assert info["stride"] == 1, key
        return torch.from_numpy(self.arrays[key].reshape(info["shape"]))

    def error(self, key: str, ours: torch.Tensor) -> float:
        """Largest absolute difference from the stored array (or from its stored every n-th value)."""
        info = self.facts["arrays"][key]
        assert list(ours.shape) == info["shape"], (key, list(ours.shape), info["shape"])
        values = ours.detach().contiguous().reshape(-1)[:: info["stride"]].double()
        return float((values - torch.from_numpy(self.arrays[key].reshape(-1)).double()).abs().max())
