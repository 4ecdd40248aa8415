"""Counting multiplications and additions, deformable sampling included."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_flops(work: Callable[[], Any]) -> int:
    """Floating-point operations of one call, a multiplication and an addition counted as two.

    Matrix products, convolutions and attention count as torch counts them. torch knows nothing of deformable
    sampling; a sample is four rows read and added with weights, then the ordinary product.
    """
    with FlopCounterMode(display=False, custom_mapping=_DEFORMABLE) as counter:
        work()
    return int(counter.get_total_flops())


def _sampling(table: torch.Size, rows: torch.Size, *_args: Any, out_shape: Any = None, **_kwargs: Any) -> int:
    """``embedding_bag`` as :mod:`glip_core.modeling.deform` uses it: each row read is multiplied and added."""
    return 2 * rows.numel() * table[1]


def _deform_conv2d(
    x: torch.Size, weight: torch.Size, offset: torch.Size, *_args: Any, out_shape: Any = None, **_kwargs: Any
) -> int:
    """Torchvision's kernel: bilinear samples (four rows) of every tap and channel, then the matrix product."""
    batch, channels = x[0], x[1]
    positions = offset[2] * offset[3]
    taps = weight[2] * weight[3]
    return batch * positions * taps * channels * (8 + 2 * weight[0])


def _mapping() -> dict[Any, Any]:
    mapping: dict[Any, Any] = {
        torch.ops.aten._embedding_bag: _sampling,
        torch.ops.aten._embedding_bag_forward_only: _sampling,
    }
    try:
        import torchvision.ops  # noqa: F401  registers the operator

        mapping[torch.ops.torchvision.deform_conv2d] = _deform_conv2d
    except (ImportError, AttributeError):
        pass
    return mapping


_DEFORMABLE = _mapping()


def matrix_product_rate(device: str, precision: str, *, side: int = 2048, seconds: float = 0.5) -> float:
    """Floating-point operations a second of this machine's matrix product: what the best code could reach.

    Args:
        device: ``cpu`` or ``cuda[:N]``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        side: of the square matrices.
        seconds: to measure for, after one product to warm up.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)

    def product() -> None:
        a @ b
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    product()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
