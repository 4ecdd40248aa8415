"""The feature pyramid on top of Swin, and both together as the vision backbone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.modeling.swin import Swin


class DropBlock(nn.Module):
    """Zeroes squares of a map when training (Ghiasi et al. 2018): one mask per image for all channels."""

    def __init__(self, probability: float = 0.3, block: int = 3) -> None:
        super().__init__()
        self.probability, self.block = probability, block

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> the same shape; the kept part is scaled up to keep the mean."""
        if not self.training or self.probability == 0:
            return x
        rate = self.probability / self.block**2
        seeds = (torch.rand(x.shape[0], 1, *x.shape[2:], device=x.device) < rate).to(x.dtype)
        kept = 1 - F.max_pool2d(seeds, self.block, stride=1, padding=self.block // 2)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))


class FeaturePyramid(nn.Module):
    """C3..C5 -> P3..P7 (Lin et al. 2017), P6 and P7 by strided convolutions from P5."""

    def __init__(self, in_channels: list[int], channels: int, *, drop_block: float = 0.3) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.layer = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        self.p6 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.drop_block = DropBlock(drop_block)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Backbone maps, finest first -> the five levels ``[B, channels, H, W]``, P3 first."""
        merged = self.inner[-1](maps[-1])
        levels = [self.layer[-1](merged)]
        for i in reversed(range(len(maps) - 1)):
            lateral = self.inner[i](maps[i])
            merged = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
            levels.insert(0, self.layer[i](self.drop_block(merged)))
        p6 = self.p6(levels[-1])
        return [*levels, p6, self.p7(F.relu(p6))]


class VisionBackbone(nn.Module):
    """Pixels -> the five pyramid levels P3..P7."""

    def __init__(self, *, swin: Swin, pyramid: FeaturePyramid) -> None:
        super().__init__()
        self.swin = swin
        self.pyramid = pyramid

    def forward(self, pixels: Tensor, *, checkpointing: bool = False) -> list[Tensor]:
        """``[B, 3, H, W]`` normalised and padded -> five maps with strides 8, 16, 32, 64 and 128.

        ``checkpointing`` is that of :class:`glip_core.detector.Detector`.
        """
        return self.pyramid(self.swin(pixels, checkpointing=checkpointing)[1:])
