"""Modulated deformable 3x3 convolution (DCNv2, Zhu et al. 2019), with a fast path for CPUs.

Bilinear sampling is a weighted sum of four rows of a channels-last table, which is what ``embedding_bag`` does
in all threads with contiguous reads; torchvision's CPU kernel samples one value at a time in one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from glip_core.modeling.sampling import KERNEL, TAPS, Levels, Sampling, full_precision

_CHUNK_BYTES = 9 << 20  # samples gathered at a time: few enough for the caches to hold until they are multiplied


class DeformConv(nn.Module):
    """A 3x3 convolution, padding 1, that samples where offsets point and weighs samples by a mask."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, levels: Levels, samplings: Sequence[Sampling]) -> list[Tensor]:
        """Each of several maps convolved by its own sampling (see :func:`deform_conv`)."""
        return deform_conv(levels, samplings, self.weight, self.bias, stride=self.stride)


def output_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Size of a 3x3 convolution's output with padding 1."""
    return (height - 1) // stride + 1, (width - 1) // stride + 1


def deform_conv(
    levels: Levels, samplings: Sequence[Sampling], weight: Tensor, bias: Tensor, *, stride: int
) -> list[Tensor]:
    """Modulated deformable 3x3 convolution, padding 1, of several maps: a sample outside a map is 0.

    Args:
        levels: maps ``[B, C, H, W]``.
        samplings: for each map, of the size that :func:`output_size` says.
        weight: ``[out, C, 3, 3]``.
        bias: ``[out]``.
        stride: of the convolution.

    Returns:
        ``[B, out, h, w]`` for each map, channels last in memory where this runs on a CPU.
    """
    if not levels.maps:
        return []
    full = full_precision(weight)
    samplings = [(offsets.to(full), mask.to(full)) for offsets, mask in samplings]
    if levels.table is None:
        weight, bias = weight.to(full), bias.to(full)
        with torch.autocast(weight.device.type, enabled=False):  # torchvision has no half-precision path under it
            return [
                deform_conv2d(x.to(full), offsets, weight, bias, stride=stride, padding=1, mask=mask)
                for x, (offsets, mask) in zip(levels.maps, samplings, strict=True)
            ]
    kernel = weight.permute(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)  # (out, 9 * C, 1, 1), a tap's channels together
    dtype = levels.table.dtype
    out = _gather_and_multiply(levels.table, *levels.taps(samplings, stride), kernel.to(dtype), bias.to(dtype))
    shapes = [(len(mask), *mask.shape[-2:]) for _, mask in samplings]
    maps = out.split([batch * height * width for batch, height, width in shapes])
    return [x.view(*shape, -1).permute(0, 3, 1, 2) for x, shape in zip(maps, shapes, strict=True)]


def _gather_and_multiply(table: Tensor, corners: Tensor, weights: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Samples of all positions times the kernel, portion by portion; ``[positions, out]``."""
    positions, channels = len(corners), table.shape[1]
    weights = weights.to(table.dtype)
    # With gradients all at once: on the way back each portion would fill and add a gradient of the whole table.
    learns = torch.is_grad_enabled()
    step = positions if learns else min(positions, _CHUNK_BYTES // (TAPS * channels * table.element_size()) + 1)
    bags = torch.arange(0, TAPS * step * 4, 4, dtype=corners.dtype)

    def product(start: int) -> Tensor:
        indices, shares = (part[start : start + step].flatten() for part in (corners, weights))
        samples = F.embedding_bag(
            indices, table, bags[: len(indices) // 4], per_sample_weights=shares, mode="sum"
        )  # (rows * 9, C)
        # As a 1x1 convolution the product is oneDNN's, which is faster than MKL's on many processors.
        pixels = samples.view(1, -1, 1, TAPS * channels).permute(0, 3, 1, 2)
        return F.conv2d(pixels, kernel, bias).permute(0, 2, 3, 1).reshape(-1, kernel.shape[0])

    if learns:
        return product(0)
    out = table.new_empty(positions, kernel.shape[0])
    for start in range(0, positions, step):
        out[start : start + step] = product(start)
    return out
