"""Bilinear sampling as a weighted sum of rows of a table: where the rows are, and how much each counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL = 3
TAPS = KERNEL * KERNEL

Sampling = tuple[Tensor, Tensor]
"""Offsets ``[B, 18, h, w]``, (dy, dx) per tap of a 3x3 kernel in row-major order, in pixels of the map that is read;
and a mask ``[B, 9, h, w]``, one weight per tap."""


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
        return cls(maps, bordered(maps) if maps[0].device.type == "cpu" else None)

    def part(self, first: int, last: int) -> Levels:
        """The maps from ``first`` to before ``last``; their rows of the table are not copied."""
        table = self.table
        if table is not None:
            sizes = [_rows(x) for x in self.maps]
            table = table[sum(sizes[:first]) : sum(sizes[:last])]
        return Levels(self.maps[first:last], table)

    def taps(self, samplings: Sequence[Sampling], stride: int) -> tuple[Tensor, Tensor]:
        """Rows of the table, int32 ``[positions, 9, 4]``, and their weights ``[positions, 9, 4]``.

        Positions follow each other by map, image, row and column.
        """
        corners, weights, first = [], [], 0
        for x, (offsets, mask) in zip(self.maps, samplings, strict=True):
            rows, shares = bilinear_taps(offsets, mask, (x.shape[-2], x.shape[-1]), stride)
            corners.append(rows.add_(first))
            weights.append(shares)
            first += _rows(x)
        return torch.cat(corners), torch.cat(weights)


def full_precision(x: Tensor) -> torch.dtype:
    """What positions need, as bf16 cannot tell neighbouring pixels apart beyond 256: float64 for such, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _rows(x: Tensor) -> int:
    """How many rows of the table a map has."""
    return x.shape[0] * (x.shape[2] + 2) * (x.shape[3] + 2)


def bordered(maps: Sequence[Tensor]) -> Tensor:
    """Maps ``[B, C, H, W]`` -> their pixels ``[rows, C]``, by map, image, row and column, with zeros around each image.

    Half precision where autocast would convolve in it, without gradients: samples are then as exact as the product
    that they go into.
    """
    images = [x.permute(0, 2, 3, 1) for x in maps]
    channels = maps[0].shape[1]
    dtype = full_precision(maps[0])
    if torch.is_grad_enabled():
        return torch.cat([F.pad(x.to(dtype), (0, 0, 1, 1, 1, 1)).reshape(-1, channels) for x in images])
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    # Where no gradient has to find its way back, in place: half the copies.
    table = maps[0].new_empty(sum(map(_rows, maps)), channels, dtype=dtype)
    for x, rows in zip(images, table.split([_rows(x) for x in maps]), strict=True):
        image = rows.view(x.shape[0], x.shape[1] + 2, x.shape[2] + 2, channels)
        for edge in (image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]):
            edge.zero_()
        image[:, 1:-1, 1:-1] = x
    return table


def bilinear_taps(offsets: Tensor, mask: Tensor, size: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Where each kernel tap reads one map and with what weight.

    Args:
        offsets: ``[B, 18, h, w]``.
        mask: ``[B, 9, h, w]``.
        size: (H, W) of the map that is read.
        stride: of the convolution.

    Returns:
        Row numbers, int32 ``[B * h * w, 9, 4]``, into the table of the map, and the bilinear weights times the mask,
        ``[B * h * w, 9, 4]``, differentiable with respect to offsets and mask.
    """
    height, width = size
    batch, _, out_h, out_w = offsets.shape
    offsets = offsets.unflatten(1, (TAPS, 2))
    device = offsets.device
    tap = torch.arange(TAPS, device=device)[:, None, None]
    base_y = (torch.arange(out_h, device=device) * stride - 1)[:, None] + tap // KERNEL  # (9, h, 1)
    base_x = (torch.arange(out_w, device=device) * stride - 1) + tap % KERNEL  # (9, 1, w)
    # Samples at or beyond the border's outer edge are zero anyway; clamping keeps their rows inside the table.
    y = (base_y + offsets[:, :, 0]).clamp(-1, height)
    x = (base_x + offsets[:, :, 1]).clamp(-1, width)
    # A NaN must not become a row number; it still reaches the weights, so the loss says so.
    y0 = y.detach().nan_to_num(0).floor().clamp(max=height - 1)
    x0 = x.detach().nan_to_num(0).floor().clamp(max=width - 1)
    dy, dx = y - y0, x - x0
    top, bottom = mask * (1 - dy), mask * dy
    # From here on by position, then by tap, as samples are gathered.
    shares = (top * (1 - dx), top * dx, bottom * (1 - dx), bottom * dx)  # (B, 9, h, w) each
    weights = torch.stack([share.flatten(2).mT for share in shares], dim=-1).flatten(0, 1)
    first = ((y0 + 1) * (width + 2) + (x0 + 1)).to(torch.int32)  # the border shifts rows and columns by one
    image = torch.arange(batch, dtype=torch.int32, device=device) * ((height + 2) * (width + 2))
    corner = torch.tensor([0, 1, width + 2, width + 3], dtype=torch.int32, device=device)
    corners = first.flatten(2).mT.contiguous()[..., None] + (image[:, None] + corner)[:, None, None]
    return corners.flatten(0, 1), weights
