"""What a deformable 3x3 convolution reads: offsets and weights of its taps, and the sizes and types that they have."""

from __future__ import annotations

import os

import torch
from torch import Tensor

KERNEL = 3
TAPS = KERNEL * KERNEL

Sampling = tuple[Tensor, Tensor]
"""Offsets ``[B, 18, h, w]``, (dy, dx) per tap of a 3x3 kernel in row-major order, in pixels of the map that is read;
and a mask ``[B, 9, h, w]``, one weight per tap."""


TRITON = "GLIP_CORE_TRITON"
"""Environment variable: ``1`` samples by the kernel of :mod:`glip_core.modeling.triton_deform` on a GPU."""


def use_triton(x: Tensor) -> bool:
    """Whether maps like ``x`` are sampled by the Triton kernel: only where :data:`TRITON` asks for it."""
    return x.is_cuda and os.environ.get(TRITON) == "1"


def output_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Size of a 3x3 convolution's output with padding 1."""
    return (height - 1) // stride + 1, (width - 1) // stride + 1


def full_precision(x: Tensor) -> torch.dtype:
    """What positions need, as bf16 cannot tell neighbouring pixels apart beyond 256: float64 for such, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
