"""Samples of a deformable 3x3 convolution by a Triton kernel, in half precision where the maps are; off by default.

torchvision's kernel reads planes of channels and computes in float32 alone. This one reads whole pixels (channels
last), keeps positions and weights of corners in float32, and leaves the matrix product to cuBLAS in the precision of
the maps. It has been compared with the plain formula in Triton's interpreter and compiled for a GPU, but **no GPU has
run it yet**: it is used only where the environment variable :data:`~glip_core.modeling.sampling.TRITON` is ``1``.

This module imports Triton, which not every system has: import it where it is used.
"""

# Arguments of kernels are Triton's, which has no types for them.
# ruff: noqa: ANN001, ANN202

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from glip_core.modeling.sampling import TAPS

_POSITIONS = 16  # output positions of one program
_CHANNELS = 128  # channels it holds at a time, at most


def deform_map(x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Modulated deformable 3x3 convolution, padding 1, of one map; a sample outside the map is 0.

    Args:
        x: ``[B, C, H, W]``, of any float type; channels last saves a copy.
        offsets: ``[B, 18, h, w]``, float32 or float64, see :data:`~glip_core.modeling.sampling.Sampling`.
        mask: ``[B, 9, h, w]``, likewise.
        weight: ``[out, C, 3, 3]``.
        bias: ``[out]``.
        stride: of the convolution.

    Returns:
        ``[B, out, h, w]``, channels last in memory; in the type of ``x``, or autocast's.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x = x.to(torch.get_autocast_dtype(kind))
    columns: Tensor = _Samples.apply(x.permute(0, 2, 3, 1).contiguous(), offsets, mask, stride)
    kernel = weight.permute(0, 2, 3, 1).flatten(1)  # (out, 9 * C), a tap's channels together
    out = F.linear(columns, kernel.to(columns.dtype), bias.to(columns.dtype))
    return out.unflatten(0, (len(x), *mask.shape[-2:])).permute(0, 3, 1, 2)


class _Samples(torch.autograd.Function):
    """Maps ``[B, H, W, C]`` and their sampling -> samples times mask, ``[B * h * w, 9 * C]``, in the maps' type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, offsets: Tensor, mask: Tensor, stride: int) -> Tensor:
        offsets, mask = offsets.contiguous(), mask.contiguous()
        ctx.save_for_backward(x, offsets, mask)
        ctx.stride = stride
        positions = mask[:, 0].numel()
        columns = x.new_empty(positions, TAPS * x.shape[-1])
        grid, sizes, blocks = _launch(x, mask, stride)
        if positions:
            with _device_of(x):
                _sample[grid](x, offsets, mask, columns, *sizes, **blocks)
        return columns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, offsets, mask = ctx.saved_tensors
        # Many positions add to one pixel: in the positions' type, for sums in half precision would lose most of them.
        of_x = torch.zeros_like(x, dtype=offsets.dtype)
        of_offsets, of_mask = torch.empty_like(offsets), torch.empty_like(mask)
        grid, sizes, blocks = _launch(x, mask, ctx.stride)
        if mask.numel():
            given = gradient.contiguous()
            with _device_of(x):
                _sample_backward[grid](x, offsets, mask, given, of_x, of_offsets, of_mask, *sizes, **blocks)
        return of_x.to(x.dtype), of_offsets, of_mask, None


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current GPU, whichever the tensors are on."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _launch(x: Tensor, mask: Tensor, stride: int) -> tuple[tuple[int, int], tuple[int, ...], dict[str, int]]:
    """Programs (blocks of positions, taps), and the sizes that the kernels get."""
    _, height, width, channels = x.shape
    out_h, out_w = mask.shape[-2:]
    positions = mask[:, 0].numel()
    grid = (triton.cdiv(positions, _POSITIONS), TAPS)
    blocks = {"POSITIONS": _POSITIONS, "CHANNELS": min(_CHANNELS, triton.next_power_of_2(channels))}
    return grid, (positions, height, width, out_h, out_w, channels, stride), blocks


@triton.jit
def _place(offsets, mask, position, tap, known, out_h, out_w, stride):  # type: ignore[no-untyped-def]
    """Of positions: image, y, x and mask of one tap, and where its values lie among the offsets and the masks."""
    plane = out_h * out_w
    image = position // plane
    place = position % plane
    of_y = (image * 9 + tap) * 2 * plane + place
    of_mask = (image * 9 + tap) * plane + place
    y = (place // out_w * stride - 1 + tap // 3) + tl.load(offsets + of_y, mask=known, other=0.0)
    x = (place % out_w * stride - 1 + tap % 3) + tl.load(offsets + of_y + plane, mask=known, other=0.0)
    return image, y, x, tl.load(mask + of_mask, mask=known, other=0.0), of_y, of_mask


@triton.jit
def _corner(image, y, x, known, height, width, DOWN: tl.constexpr, RIGHT: tl.constexpr):  # type: ignore[no-untyped-def]
    """One of four neighbours: number of its pixel, whether there is such, its bilinear weight (NaN for a NaN)."""
    top, left = tl.floor(y), tl.floor(x)
    row, column = top + DOWN, left + RIGHT
    inside = known & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    # What is far outside must not become a number of a pixel, not even of one that is not read.
    pixel = (image * height + tl.where(inside, row, 0.0).to(tl.int64)) * width
    pixel += tl.where(inside, column, 0.0).to(tl.int64)
    share = tl.where(DOWN == 1, y - top, 1 - (y - top)) * tl.where(RIGHT == 1, x - left, 1 - (x - left))
    return pixel, inside, tl.where(inside | (y != y) | (x != x), share, 0.0)


@triton.jit
def _sample(  # type: ignore[no-untyped-def]
    maps, offsets, mask, columns, positions, height, width, out_h, out_w, channels, stride,
    POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tap = tl.program_id(1)
    position = tl.program_id(0).to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    known = position < positions
    image, y, x, strength, _, _ = _place(offsets, mask, position, tap, known, out_h, out_w, stride)
    for first in range(0, channels, CHANNELS):
        channel = first + tl.arange(0, CHANNELS)
        whole = channel < channels
        total = tl.zeros([POSITIONS, CHANNELS], dtype=offsets.dtype.element_ty)
        for number in tl.static_range(4):
            pixel, inside, share = _corner(image, y, x, known, height, width, number // 2, number % 2)
            there = inside[:, None] & whole[None, :]
            value = tl.load(maps + pixel[:, None] * channels + channel[None, :], mask=there, other=0.0)
            total += value.to(offsets.dtype.element_ty) * (share * strength)[:, None]
        column = (position * 9 + tap)[:, None] * channels + channel[None, :]
        tl.store(columns + column, total.to(columns.dtype.element_ty), mask=known[:, None] & whole[None, :])


@triton.jit
def _sample_backward(  # type: ignore[no-untyped-def]
    maps, offsets, mask, gradient, of_maps, of_offsets, of_mask,
    positions, height, width, out_h, out_w, channels, stride,
    POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tap = tl.program_id(1)
    position = tl.program_id(0).to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    known = position < positions
    image, y, x, strength, at_y, at_mask = _place(offsets, mask, position, tap, known, out_h, out_w, stride)
    down, right = y - tl.floor(y), x - tl.floor(x)
    by_strength = tl.zeros([POSITIONS], dtype=offsets.dtype.element_ty)
    by_y = tl.zeros([POSITIONS], dtype=offsets.dtype.element_ty)
    by_x = tl.zeros([POSITIONS], dtype=offsets.dtype.element_ty)
    for first in range(0, channels, CHANNELS):
        channel = first + tl.arange(0, CHANNELS)
        whole = channel < channels
        column = (position * 9 + tap)[:, None] * channels + channel[None, :]
        given = tl.load(gradient + column, mask=known[:, None] & whole[None, :], other=0.0)
        given = given.to(offsets.dtype.element_ty)
        for number in tl.static_range(4):
            pixel, inside, share = _corner(image, y, x, known, height, width, number // 2, number % 2)
            there = inside[:, None] & whole[None, :]
            entry = pixel[:, None] * channels + channel[None, :]
            value = tl.load(maps + entry, mask=there, other=0.0).to(offsets.dtype.element_ty)
            tl.atomic_add(of_maps + entry, given * (share * strength)[:, None], mask=there)
            product = tl.sum(given * value, axis=1)
            by_strength += product * share
            # The weight's derivative: the other axis' share, and the sign of the side that the corner is on.
            by_y += product * tl.where(number % 2 == 1, right, 1 - right) * tl.where(number // 2 == 1, 1.0, -1.0)
            by_x += product * tl.where(number // 2 == 1, down, 1 - down) * tl.where(number % 2 == 1, 1.0, -1.0)
    tl.store(of_mask + at_mask, by_strength, mask=known)
    tl.store(of_offsets + at_y, by_y * strength, mask=known)
    tl.store(of_offsets + at_y + out_h * out_w, by_x * strength, mask=known)
