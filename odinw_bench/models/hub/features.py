"""What is frozen of an image in the Grounding DINO families: the projected maps, or what the encoder made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, nn

from odinw_bench.models.tunable import Packed

Size = tuple[int, int]


@dataclass(frozen=True)
class VisionFeatures:
    """The output of vision backbone and projection, or of the encoder that fuses it with the text.

    Attributes:
        levels: maps ``[B, D, h, w]``, finest first; of fused features empty.
        shapes: (h, w) of each level.
        mask: bool ``[B, H, W]``, False where the image is padded.
        hw: (height, width) of the photo.
        fused: ``[B, N, D]`` of all levels and ``[B, T, D]`` of the text, where the encoder is done.
    """

    levels: tuple[Tensor, ...]
    shapes: tuple[Size, ...]
    mask: Tensor
    hw: Size
    fused: tuple[Tensor, Tensor] | None = None

    @property
    def batch_key(self) -> Size:
        """Images of one prepared size share a pass."""
        return self.mask.shape[-2], self.mask.shape[-1]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(tensor.nbytes for tensor in (*self.levels, *(self.fused or ()), self.mask))

    def to(self, device: torch.device) -> VisionFeatures:
        """The same features on another device."""
        fused = None if self.fused is None else (self.fused[0].to(device), self.fused[1].to(device))
        levels = tuple(level.to(device) for level in self.levels)
        return VisionFeatures(levels, self.shapes, self.mask.to(device), self.hw, fused)

    def pack(self) -> Packed:
        """For :meth:`unpack`."""
        tensors = {f"level{i}": level for i, level in enumerate(self.levels)} | {"mask": self.mask}
        if self.fused is not None:
            tensors |= {"fused": self.fused[0], "text": self.fused[1]}
        facts = {"hw": list(self.hw), "shapes": [list(shape) for shape in self.shapes]}
        return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, facts

    @classmethod
    def unpack(cls, packed: Packed) -> VisionFeatures:
        """What :meth:`pack` gave.

        Raises:
            KeyError, ValueError: something is missing.
        """
        tensors, facts = packed
        shapes = tuple((int(height), int(width)) for height, width in facts["shapes"])
        height, width = facts["hw"]
        if "fused" in tensors:
            return cls((), shapes, tensors["mask"], (height, width), (tensors["fused"], tensors["text"]))
        levels = tuple(tensors[f"level{i}"] for i in range(len(shapes)))
        return cls(levels, shapes, tensors["mask"], (height, width))


def joined(features: Sequence[VisionFeatures]) -> VisionFeatures:
    """Those of images of one prepared size as one batch; ``hw`` is the first one's."""
    first = features[0]
    if len(features) == 1:
        return first
    fused = None
    if first.fused is not None:
        both = [one.fused for one in features if one.fused is not None]
        fused = (torch.cat([vision for vision, _ in both]), torch.cat([text for _, text in both]))
    levels = tuple(torch.cat(level) for level in zip(*(one.levels for one in features), strict=True))
    return VisionFeatures(levels, first.shapes, torch.cat([one.mask for one in features]), first.hw, fused)


def split(features: VisionFeatures, hw: Sequence[Size]) -> list[VisionFeatures]:
    """Levels of a batch of images by image: what :func:`joined` puts together.

    Args:
        features: of the batch, not fused.
        hw: (height, width) of each photo.
    """
    return [
        VisionFeatures(tuple(x[n : n + 1] for x in features.levels), features.shapes, features.mask[n : n + 1], photo)
        for n, photo in enumerate(hw)
    ]


def libraries_of(network: nn.Module) -> dict[str, str]:
    """The versions of the libraries whose layers a network has, but for torch: of transformers, and maybe timm."""
    found = {type(module).__module__.partition(".")[0] for module in network.modules()} & {"transformers", "timm"}
    return {name: str(import_module(name).__version__) for name in sorted(found)}
