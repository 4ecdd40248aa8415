"""Modulated deformable 3x3 convolution (DCNv2, Zhu et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glip_core.modeling import cpu
from glip_core.modeling.sampling import KERNEL, Sampling, full_precision, use_triton


class Levels:
    """Maps that several layers read, ``[B, C, H, W]`` each; for sampling on a CPU also as one table of their pixels.

    In the table each image has a border of one zero pixel on every side, which makes each corner that counts
    addressable without a test: a sample counts while its coordinate is > -1 and < size, so corners lie in -1 .. size.
    """

    def __init__(self, maps: Sequence[Tensor], table: Tensor | None = None) -> None:
        self.maps = list(maps)
        self.table = table  # (rows, C)

    @classmethod
    def to_sample(cls, maps: Sequence[Tensor]) -> Levels:
        """With their table, where one is needed."""
        return cls(maps, cpu.bordered_table(maps) if cpu.use_sampling_table(maps[0]) else None)

    def part(self, first: int, last: int) -> Levels:
        """The maps from ``first`` to before ``last``; their rows of the table are not copied."""
        table = self.table
        if table is not None:
            sizes = [cpu.table_rows(x) for x in self.maps]
            table = table[sum(sizes[:first]) : sum(sizes[:last])]
        return Levels(self.maps[first:last], table)

    def taps(self, samplings: Sequence[Sampling], stride: int) -> tuple[Tensor, Tensor]:
        """Rows of the table, int32 ``[positions, 9, 4]``, and their weights ``[positions, 9, 4]``.

        Positions follow each other by map, image, row and column.
        """
        corners, weights, first = [], [], 0
        for x, (offsets, mask) in zip(self.maps, samplings, strict=True):
            rows, of_rows = cpu.bilinear_taps(offsets, mask, (x.shape[-2], x.shape[-1]), stride)
            corners.append(rows.add_(first))
            weights.append(of_rows)
            first += cpu.table_rows(x)
        return torch.cat(corners), torch.cat(weights)


class DeformConv(nn.Module):
    """A 3x3 convolution, padding 1, that samples at offset positions and multiplies the samples by a mask."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, levels: Levels, samplings: Sequence[Sampling]) -> list[Tensor]:
        """Each of several maps convolved by its own sampling (see :func:`deform_conv`)."""
        return deform_conv(levels, samplings, self.weight, self.bias, stride=self.stride)


def deform_conv(
    levels: Levels, samplings: Sequence[Sampling], weight: Tensor, bias: Tensor, *, stride: int
) -> list[Tensor]:
    """Modulated deformable 3x3 convolution, padding 1, of several maps: a sample outside a map is 0.

    Args:
        levels: maps ``[B, C, H, W]``.
        samplings: for each map, of the size that :func:`~glip_core.modeling.sampling.output_size` says.
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
    if levels.table is None and use_triton(levels.maps[0]):
        from glip_core.modeling.triton_deform import deform_map  # Triton is not on every system

        pairs = zip(levels.maps, samplings, strict=True)
        return [deform_map(x, offsets, mask, weight, bias, stride) for x, (offsets, mask) in pairs]
    if levels.table is None:
        from torchvision.ops import deform_conv2d  # its package takes a second to import, and a CPU has no use for it

        weight, bias = weight.to(full), bias.to(full)
        with torch.autocast(weight.device.type, enabled=False):  # torchvision has no half-precision path under it
            return [
                deform_conv2d(x.to(full), offsets, weight, bias, stride=stride, padding=1, mask=mask)
                for x, (offsets, mask) in zip(levels.maps, samplings, strict=True)
            ]
    kernel = weight.permute(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)  # (out, 9 * C, 1, 1), a tap's channels together
    dtype = levels.table.dtype
    out = cpu.gather_and_multiply(levels.table, *levels.taps(samplings, stride), kernel.to(dtype), bias.to(dtype))
    shapes = [(len(mask), *mask.shape[-2:]) for _, mask in samplings]
    maps = out.split([batch * height * width for batch, height, width in shapes])
    return [x.view(*shape, -1).permute(0, 3, 1, 2) for x, shape in zip(maps, shapes, strict=True)]
