"""Bilinear sampling as a weighted sum of rows of a table: where the rows are, and how much each counts.

This is what ``embedding_bag`` does in all threads with contiguous reads; torchvision's CPU kernel of the deformable
convolution samples one value at a time in one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from glip_core.modeling.sampling import KERNEL, TAPS, full_precision

_CHUNK_BYTES = 9 << 20  # samples gathered at a time: few enough for the caches to hold until they are multiplied


def table_rows(x: Tensor) -> int:
    """How many rows of the table a map has."""
    return x.shape[0] * (x.shape[2] + 2) * (x.shape[3] + 2)


def bordered_table(maps: Sequence[Tensor]) -> Tensor:
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
    table = maps[0].new_empty(sum(map(table_rows, maps)), channels, dtype=dtype)
    for x, rows in zip(images, table.split([table_rows(x) for x in maps]), strict=True):
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
    of_corners = (top * (1 - dx), top * dx, bottom * (1 - dx), bottom * dx)  # (B, 9, h, w) each
    weights = torch.stack([weight.flatten(2).mT for weight in of_corners], dim=-1).flatten(0, 1)
    first = ((y0 + 1) * (width + 2) + (x0 + 1)).to(torch.int32)  # the border shifts rows and columns by one
    image = torch.arange(batch, dtype=torch.int32, device=device) * ((height + 2) * (width + 2))
    corner = torch.tensor([0, 1, width + 2, width + 3], dtype=torch.int32, device=device)
    corners = first.flatten(2).mT.contiguous()[..., None] + (image[:, None] + corner)[:, None, None]
    return corners.flatten(0, 1), weights


def gather_and_multiply(table: Tensor, corners: Tensor, weights: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Samples of all positions times the kernel, a chunk of positions at a time.

    Args:
        table: ``[rows, C]``, see :func:`bordered_table`.
        corners: rows of the table, int32 ``[positions, 9, 4]``.
        weights: of these rows, ``[positions, 9, 4]``.
        kernel: ``[out, 9 * C, 1, 1]``, a tap's channels together.
        bias: ``[out]``.

    Returns:
        ``[positions, out]``.
    """
    positions, channels = len(corners), table.shape[1]
    weights = weights.to(table.dtype)
    # With gradients all at once: on the way back each chunk would fill and add a gradient of the whole table.
    at_once = torch.is_grad_enabled()
    step = positions if at_once else min(positions, _CHUNK_BYTES // (TAPS * channels * table.element_size()) + 1)
    bags = torch.arange(0, TAPS * step * 4, 4, dtype=corners.dtype)

    def product(start: int) -> Tensor:
        indices, some = (part[start : start + step].flatten() for part in (corners, weights))
        samples = F.embedding_bag(
            indices, table, bags[: len(indices) // 4], per_sample_weights=some, mode="sum"
        )  # (rows * 9, C)
        # As a 1x1 convolution the product is oneDNN's, which is faster than MKL's on many processors.
        pixels = samples.view(1, -1, 1, TAPS * channels).permute(0, 3, 1, 2)
        return F.conv2d(pixels, kernel, bias).permute(0, 2, 3, 1).reshape(-1, kernel.shape[0])

    if at_once:
        return product(0)
    out = table.new_empty(positions, kernel.shape[0])
    for start in range(0, positions, step):
        out[start : start + step] = product(start)
    return out
