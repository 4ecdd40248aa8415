"""What goes into a GLIP: a padded image, or what is frozen of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glip_core import TextFeatures
from odinw_bench.models.base import ModelInput
from odinw_bench.models.tunable import Packed


@dataclass(frozen=True)
class PreparedImage:
    """An image ready for the network.

    Attributes:
        pixels: ``[1, 3, H, W]``, normalised and padded, on the CPU.
        hw: (height, width) before padding.
    """

    pixels: Tensor
    hw: tuple[int, int]

    @property
    def padded_hw(self) -> tuple[int, int]:
        """(height, width) after padding."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    @property
    def batch_key(self) -> tuple[int, int]:
        """Images of one padded size share a pass."""
        return self.padded_hw

    def on(self, device: torch.device) -> Tensor:
        """The pixels on a device; the copy to a GPU is asynchronous."""
        return self.pixels.to(device, non_blocking=True)


@dataclass(frozen=True)
class FrozenFeatures:
    """What is known of one image before the first trainable parameter.

    Attributes:
        levels: the pyramid's maps ``[1, C, H, W]``, or those of the tower.
        text: the fused text, where the tower is done and the model reads prompts; else None.
        hw: the image's (height, width) before padding.
        padded_hw: and after.
        tower_done: whether ``levels`` are the tower's output.
    """

    levels: tuple[Tensor, ...]
    text: TextFeatures | None
    hw: tuple[int, int]
    padded_hw: tuple[int, int]
    tower_done: bool = False

    @property
    def batch_key(self) -> tuple[int, int]:
        """Images of one padded size share a pass."""
        return self.padded_hw

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        total = sum(x.nbytes for x in self.levels)
        return total + (self.text.hidden.nbytes + self.text.embedded.nbytes if self.text is not None else 0)

    def to(self, device: torch.device) -> FrozenFeatures:
        """The same features on another device."""
        text = None if self.text is None else self.text.to(device)
        levels = tuple(level.to(device) for level in self.levels)
        return FrozenFeatures(levels, text, self.hw, self.padded_hw, self.tower_done)

    def pack(self) -> Packed:
        """For :meth:`unpack`."""
        tensors = {f"level{i}": level.contiguous() for i, level in enumerate(self.levels)}
        if self.text is not None:
            text = {"embedded": self.text.embedded, "hidden": self.text.hidden, "mask": self.text.mask}
            # One storage for two names is refused by safetensors.
            tensors |= {name: tensor.contiguous().clone() for name, tensor in text.items()}
        facts = {"hw": list(self.hw), "padded": list(self.padded_hw), "tower": self.tower_done}
        return {name: tensor.cpu() for name, tensor in tensors.items()}, facts

    @classmethod
    def unpack(cls, packed: Packed) -> FrozenFeatures:
        """What :meth:`pack` gave.

        Raises:
            KeyError, ValueError: something is missing.
        """
        tensors, facts = packed
        levels = tuple(tensors[f"level{i}"] for i in range(sum(name.startswith("level") for name in tensors)))
        text = None
        if "hidden" in tensors:
            text = TextFeatures(embedded=tensors["embedded"], hidden=tensors["hidden"], mask=tensors["mask"])
        height, width = facts["hw"]
        padded_height, padded_width = facts["padded"]
        return cls(levels, text, (height, width), (padded_height, padded_width), facts["tower"])


def join_levels(features: Sequence[FrozenFeatures]) -> list[Tensor]:
    """The maps of some images of one padded size as one batch, ``[B, C, H, W]`` per level."""
    return [torch.cat(level) for level in zip(*(one.levels for one in features), strict=True)]


def split_levels(levels: Sequence[Tensor], inputs: Sequence[ModelInput], *, tower_done: bool) -> list[FrozenFeatures]:
    """The inverse of :func:`join_levels`, for prepared images."""
    padded = [one.padded_hw for one in inputs if isinstance(one, PreparedImage)]
    return [
        FrozenFeatures(tuple(level[i : i + 1] for level in levels), None, one.hw, hw, tower_done=tower_done)
        for i, (one, hw) in enumerate(zip(inputs, padded, strict=True))
    ]


def join_text(features: Sequence[FrozenFeatures]) -> TextFeatures | None:
    """The fused texts of some images as one batch; None where there are none."""
    texts = [one.text for one in features if one.text is not None]
    if not texts:
        return None
    return TextFeatures(
        embedded=_join([text.embedded for text in texts]),
        hidden=_join([text.hidden for text in texts]),
        mask=texts[0].mask,
    )


def _join(parts: Sequence[Tensor]) -> Tensor:
    """One row per image, or the one row that all share."""
    return parts[0] if all(part is parts[0] for part in parts) else torch.cat(list(parts))
