"""Dynamic head blocks (Dai et al. 2021): scale-, spatial- and task-aware attention over a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.modeling.deform import DeformConv, Levels
from glip_core.modeling.sampling import TAPS, Sampling, output_size


def global_avg_pool(x: Tensor) -> Tensor:
    """The mean of each map: ``[B, C, H, W]`` -> ``[B, C]``."""
    flat = x.flatten(2)
    return flat.sum(2) / flat.shape[2]  # on CPUs torch's mean of half-precision values takes twenty times as long


class _Maximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first > second)
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        (won,) = ctx.saved_tensors
        mine = gradient * won
        return mine, gradient - mine


def maximum_low_memory(first: Tensor, second: Tensor) -> Tensor:
    """``torch.maximum`` of tensors of one shape that saves one byte per value for its gradient, not both tensors.

    On a CPU its backward pass takes a seventh of the time. Where both values are equal, the second gets the whole
    gradient (torch gives each one half); that happens in single points only, where the two lines of DyReLU cross.
    """
    if torch.is_grad_enabled():
        return _Maximum.apply(first, second)
    return torch.maximum(first, second)


class DyReLU(nn.Module):
    """Task-aware attention: per channel the larger of two lines whose slopes depend on the whole map.

    ``max(a1 x + b1, a2 x + b2)`` with ``a1 = 2(y - 0.5) + 1``, ``a2 = 2(y - 0.5)``, ``b = y - 0.5`` and ``y`` a
    hard sigmoid of a two-layer network on the global mean (equation 5 of the paper).
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(),
            nn.Linear(channels // reduction, 4 * channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> the same shape."""
        y = F.relu6(self.fc(global_avg_pool(x)) + 3) / 6 - 0.5  # (B, 4 C)
        a1, b1, a2, b2 = (part[:, :, None, None] for part in y.chunk(4, dim=1))
        return maximum_low_memory(torch.addcmul(b1, x, 2 * a1 + 1), torch.addcmul(b2, x, 2 * a2))


def small_conv(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: float = 0.0
) -> nn.Conv2d:
    """A convolution whose weights start near zero (normal, deviation 0.01), as all of the head's do."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.constant_(conv.bias, bias)
    return conv


class ConvNorm(nn.Module):
    """A 3x3 convolution, deformable or plain, and GroupNorm with 16 groups."""

    def __init__(self, channels: int, *, stride: int, deformable: bool) -> None:
        super().__init__()
        if deformable:
            self.conv: nn.Module = DeformConv(channels, channels, stride=stride)
        else:
            self.conv = small_conv(channels, channels, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(16, channels)

    def forward(self, levels: Levels, samplings: Sequence[Sampling] | None) -> list[Tensor]:
        """``[B, C, H, W]`` each -> ``[B, C, H/stride, W/stride]``; a sampling for each map if deformable."""
        found = [self.conv(x) for x in levels.maps] if samplings is None else self.conv(levels, samplings)
        return [self.norm(x) for x in found]


def reinterpret_offsets(buffer: Tensor, height: int, width: int) -> Tensor:
    """The first values of each image's contiguous ``[C, H, W]`` buffer, reinterpreted as ``[C, height, width]``.

    The convolution of a coarser level gets the offsets of the finer one, which has four times as many. The official
    kernel checks no shapes and indexes that buffer with the size of its own output; the released weights were
    trained with it, so it is part of the model (parity README, section 6).
    """
    batch, channels = buffer.shape[:2]
    return buffer.reshape(batch, -1)[:, : channels * height * width].reshape(batch, channels, height, width)


class DyConv(nn.Module):
    """One DyHead block over the pyramid.

    Every level becomes the mean of up to three convolved maps, from the finer level, itself and the coarser one,
    each weighted by a scalar that depends on its content (scale-aware attention); the sampling points depend on
    the level itself (spatial-aware attention); then :class:`DyReLU`.
    """

    def __init__(self, channels: int, *, deformable: bool = True) -> None:
        super().__init__()
        self.from_coarser = ConvNorm(channels, stride=1, deformable=deformable)
        self.same = ConvNorm(channels, stride=1, deformable=deformable)
        self.from_finer = ConvNorm(channels, stride=2, deformable=deformable)
        self.scale_attention = small_conv(channels, 1, 1)
        self.relu = DyReLU(channels)
        self.offset = small_conv(channels, 3 * TAPS, 3, padding=1) if deformable else None

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Maps ``[B, C, H, W]``, finest first -> the same shapes. All levels read the block's input."""
        same, from_finer, from_coarser = self._convolve(levels)
        mixed = []
        for i, own in enumerate(same):
            maps = [own]
            if i > 0:
                maps.append(from_finer[i - 1])
            if i + 1 < len(levels):
                size = own.shape[-2:]
                maps.append(F.interpolate(from_coarser[i], size=size, mode="bilinear", align_corners=True))
            mixed.append(self.relu(self._mix(maps)))
        return mixed

    def _convolve(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The three convolutions of each level: of itself, of the next finer level, of the next coarser level.

        Returns:
            Per level its own map; per level but the finest the map from the next finer one; per level but the
            coarsest the map from the next coarser one (still of that level's size).
        """
        if self.offset is None:
            sources, samplings = Levels(levels), None
        else:
            sources, samplings = Levels.to_sample(levels), [self._sampling(x, self.offset) for x in levels]
        finer, coarser = sources.part(0, len(levels) - 1), sources.part(1, len(levels))
        # The sampling points belong to the level that the result is for; the map read is its neighbour's.
        return (
            self.same(sources, samplings),
            self.from_finer(finer, samplings and _fit(samplings[1:], finer.maps, stride=2)),
            self.from_coarser(coarser, samplings and _fit(samplings[:-1], coarser.maps, stride=1)),
        )

    def _mix(self, maps: list[Tensor]) -> Tensor:
        """The mean of maps ``[B, C, H, W]``, each weighted by a scalar that depends on its content."""
        scales = [self._scale(m) / len(maps) for m in maps]
        mixed = maps[0] * scales[0]
        for m, scale in zip(maps[1:], scales[1:], strict=True):
            mixed = torch.addcmul(mixed, m, scale)
        return mixed

    def _scale(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, 1, 1, 1]`` in 0..1, a hard sigmoid of the map's global average."""
        conv = self.scale_attention
        scale = F.linear(global_avg_pool(x), conv.weight.flatten(1), conv.bias)  # a 1x1 convolution of one pixel
        return F.relu6(F.relu(scale) + 3)[:, :, None, None] / 6

    @staticmethod
    def _sampling(x: Tensor, layer: nn.Conv2d) -> Sampling:
        """``[B, C, H, W]`` -> offsets ``[B, 18, H, W]`` and mask ``[B, 9, H, W]``."""
        out = layer(x).to(layer.weight.dtype).contiguous()  # (B, 27, H, W); sampled in full precision
        return out[:, : 2 * TAPS], out[:, 2 * TAPS :].sigmoid()


def _fit(samplings: Sequence[Sampling], sources: Sequence[Tensor], *, stride: int) -> list[Sampling]:
    """The samplings of some levels, reinterpreted where needed, for the convolutions of the levels next to them."""
    fitted = []
    for (offsets, mask), source in zip(samplings, sources, strict=True):
        size = output_size(source.shape[-2], source.shape[-1], stride)
        if size != (offsets.shape[-2], offsets.shape[-1]):
            offsets, mask = reinterpret_offsets(offsets, *size), reinterpret_offsets(mask, *size)
        fitted.append((offsets, mask))
    return fitted
