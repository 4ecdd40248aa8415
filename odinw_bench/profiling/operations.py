"""Counting multiplications and additions, deformable sampling included."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from odinw_bench.profiling.clock import wait_for

_QUEUED = 100
"""Products that a GPU is given before it is waited for: one takes a fast GPU no longer than the waiting does."""


def count_flops(work: Callable[[], Any]) -> int:
    """Floating-point operations of one call, a multiplication and an addition counted as two.

    Matrix products, convolutions and attention count as torch counts them, also those that it does not know of: added
    to a matrix in place, and attention by the CPU's kernel. torch knows nothing of deformable sampling either; a sample
    is four rows read and added with weights, then the ordinary product.
    """
    with FlopCounterMode(display=False, custom_mapping=_MAPPING) as counter:
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


def _added_product(_total: torch.Size, a: torch.Size, b: torch.Size, *_args: Any, **_kwargs: Any) -> int:
    """``[B, n, k]`` times ``[B, k, m]``, added in place."""
    return 2 * a.numel() * b[2]


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_args: Any, **_kwargs: Any) -> int:
    """Scores of every query ``[B, h, T, d]`` for every key ``[B, h, S, d]``, and their product with the values."""
    batch, heads, positions, width = query
    return 2 * batch * heads * positions * key[2] * (width + value[3])


def _mapping() -> dict[Any, Any]:
    mapping: dict[Any, Any] = {
        torch.ops.aten._embedding_bag: _sampling,
        torch.ops.aten._embedding_bag_forward_only: _sampling,
        torch.ops.aten.baddbmm_: _added_product,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    }
    try:
        import torchvision.ops  # noqa: F401  registers the operator

        mapping[torch.ops.torchvision.deform_conv2d] = _deform_conv2d
    except (ImportError, AttributeError):
        pass
    return mapping


_MAPPING = _mapping()


def matrix_product_rate(device: str, precision: str, *, side: int = 2048, seconds: float = 0.5) -> float:
    """Floating-point operations a second of this machine's matrix product: what the best code could reach.

    Args:
        device: ``cpu``, ``cuda[:N]`` or ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        side: of the square matrices.
        seconds: to measure for, after what warms up.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)

    number = 1 if torch.device(device).type == "cpu" else _QUEUED

    def products() -> None:
        for _ in range(number):
            a @ b
        wait_for(torch.device(device))

    products()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        products()
        best = min(best, time.perf_counter() - started)
    return number * 2 * side**3 / best
