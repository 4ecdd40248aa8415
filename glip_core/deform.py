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

KERNEL = 3
TAPS = KERNEL * KERNEL
_CHUNK_BYTES = 9 << 20  # samples gathered at a time: few enough for the caches to hold until they are multiplied


Sampling = tuple[Tensor, Tensor]  # offsets [B, 18, h, w] and mask [B, 9, h, w], see deform_conv


class DeformConv(nn.Module):
    """A 3x3 convolution, padding 1, that samples where offsets point and weighs samples by a mask."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, maps: Sequence[Tensor], samplings: Sequence[Sampling]) -> list[Tensor]:
        """Each of several maps convolved by its own sampling (see :func:`deform_conv`)."""
        return deform_conv(maps, samplings, self.weight, self.bias, stride=self.stride)


def output_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Size of a 3x3 convolution's output with padding 1."""
    return (height - 1) // stride + 1, (width - 1) // stride + 1


def deform_conv(
    maps: Sequence[Tensor], samplings: Sequence[Sampling], weight: Tensor, bias: Tensor, *, stride: int
) -> list[Tensor]:
    """Modulated deformable 3x3 convolution, padding 1, of several maps: a sample outside a map is 0.

    Args:
        maps: ``[B, C, H, W]`` each.
        samplings: for each map offsets ``[B, 18, h, w]``, (dy, dx) per kernel tap in row-major tap order, in pixels
            of the map, and a mask ``[B, 9, h, w]``, one weight per tap; h, w as :func:`output_size` says.
        weight: ``[out, C, 3, 3]``.
        bias: ``[out]``.
        stride: of the convolution.

    Returns:
        ``[B, out, h, w]`` for each map.
    """
    device = weight.device.type
    # Positions need float32: bf16 cannot tell neighbouring pixels apart beyond 256.
    full = torch.float64 if weight.dtype == torch.float64 else torch.float32
    samplings = [(offsets.to(full), mask.to(full)) for offsets, mask in samplings]
    if device != "cpu":
        weight, bias = weight.to(full), bias.to(full)
        with torch.autocast(device, enabled=False):  # torchvision has no half-precision path under autocast
            return [
                deform_conv2d(x.to(full), offsets, weight, bias, stride=stride, padding=1, mask=mask)
                for x, (offsets, mask) in zip(maps, samplings, strict=True)
            ]
    inputs = (weight, bias, *maps, *(part for sampling in samplings for part in sampling))
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    # Under autocast samples and their weights are as exact as the matrix product that they go into.
    half = torch.is_autocast_enabled("cpu") and not learns
    dtype = torch.get_autocast_dtype("cpu") if half else full
    kernel = weight.permute(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)  # (out, 9 * C, 1, 1), a tap's channels together
    kernel, bias = kernel.to(dtype), bias.to(dtype)
    outputs = []
    for x, (offsets, mask) in zip(maps, samplings, strict=True):
        x = x.to(dtype)
        rows = [_deform_one(x[i], offsets[i], mask[i], kernel, bias, stride, learns) for i in range(x.shape[0])]
        out = rows[0][None] if len(rows) == 1 else torch.stack(rows)  # (B, h * w, out)
        size = (offsets.shape[-2], offsets.shape[-1])
        outputs.append(out.unflatten(1, size).permute(0, 3, 1, 2))  # channels last, as whoever comes next likes it
    return outputs


def _deform_one(
    x: Tensor, offsets: Tensor, mask: Tensor, kernel: Tensor, bias: Tensor, stride: int, learns: bool
) -> Tensor:
    """One image on the CPU: gather, then one matrix product, chunk by chunk; ``[h*w, out]``."""
    channels, height, width = x.shape
    positions = offsets.shape[-2] * offsets.shape[-1]
    # A border of one zero pixel on every side makes each corner that counts addressable without a test: a sample
    # counts while its coordinate is > -1 and < size, so corners lie in -1 .. size.
    table = F.pad(x.permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).reshape(-1, channels)  # ((H+2) * (W+2), C)
    corners, weights = bilinear_taps(offsets, mask, (height, width), stride)
    weights = weights.to(x.dtype)

    # With gradients all at once: on the way back each chunk would fill and add a gradient of the whole table.
    step = positions if learns else max(1, _CHUNK_BYTES // (TAPS * channels * x.element_size()))
    bags = torch.arange(0, TAPS * min(step, positions) * 4, 4, dtype=corners.dtype)

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
    out = x.new_empty(positions, kernel.shape[0])
    for start in range(0, positions, step):
        out[start : start + step] = product(start)
    return out


def bilinear_taps(offsets: Tensor, mask: Tensor, size: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Where each kernel tap reads and with what weight.

    Args:
        offsets: ``[18, h, w]``.
        mask: ``[9, h, w]``.
        size: (H, W) of the map that is read.
        stride: of the convolution.

    Returns:
        Row numbers, int32 ``[h*w, 9, 4]``, into the flattened map with a border of one zero pixel; and the
        bilinear weights times the mask, ``[h*w, 9, 4]``, differentiable with respect to offsets and mask.
    """
    height, width = size
    out_h, out_w = offsets.shape[-2:]
    offsets = offsets.reshape(TAPS, 2, out_h, out_w)
    mask = mask.reshape(TAPS, out_h, out_w)
    tap = torch.arange(TAPS, device=offsets.device)[:, None, None]
    base_y = (torch.arange(out_h, device=offsets.device) * stride - 1)[:, None] + tap // KERNEL  # (9, h, 1)
    base_x = (torch.arange(out_w, device=offsets.device) * stride - 1) + tap % KERNEL  # (9, 1, w)
    # Samples at or beyond the border's outer edge are zero anyway; clamping keeps their rows inside the table.
    y = (base_y + offsets[:, 0]).clamp(-1, height)
    x = (base_x + offsets[:, 1]).clamp(-1, width)
    # A NaN must not become a row number; it still reaches the weights, so the loss says so.
    y0 = y.detach().nan_to_num(0).floor().clamp(max=height - 1)
    x0 = x.detach().nan_to_num(0).floor().clamp(max=width - 1)
    dy, dx = y - y0, x - x0
    top, bottom = mask * (1 - dy), mask * dy
    # From here on by position, then by tap, as samples are gathered.
    shares = (top * (1 - dx), top * dx, bottom * (1 - dx), bottom * dx)  # (9, h, w) each
    weights = torch.stack([share.flatten(1).t() for share in shares], dim=-1)
    first = ((y0 + 1) * (width + 2) + (x0 + 1)).to(torch.int32)  # the border shifts rows and columns by one
    step = torch.tensor([0, 1, width + 2, width + 3], dtype=torch.int32, device=offsets.device)
    return first.flatten(1).t().contiguous()[..., None] + step, weights
