"""When to take the CPU's path. No other module of the network asks for the device.

Every path gives the result of the general one up to rounding. :func:`disable_cpu_paths` switches all of them off, to
compare the two or to look for the cause of a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_MANY_VALUES = 1 << 17
_enabled = True
_unpadded = False


@contextmanager
def disable_cpu_paths() -> Iterator[None]:
    """Compute on a CPU by the general paths, those of a GPU, while the block runs (in all threads)."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


@contextmanager
def general_paths_without_padding() -> Iterator[None]:
    """As :func:`disable_cpu_paths`, and texts count as having no padding: for tracing with one prompt.

    The mask cannot be read while a graph is made of what is computed.
    """
    global _unpadded
    with disable_cpu_paths():
        before, _unpadded = _unpadded, True
        try:
            yield
        finally:
            _unpadded = before


def _on_cpu(x: Tensor) -> bool:
    return _enabled and x.device.type == "cpu"


def use_convolution(x: Tensor) -> bool:
    """A linear layer of ``x`` ``[..., in]`` as a 1x1 convolution: for large float32 inputs without gradients.

    The convolution is oneDNN's matrix product, faster than MKL's on many processors, and it adds the bias on the way
    rather than copying it into the output first.
    """
    if not _on_cpu(x) or x.dtype != torch.float32 or x.numel() < _MANY_VALUES:
        return False
    return not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def use_sampling_table(x: Tensor) -> bool:
    """Deformable sampling of maps ``x`` from a table of pixels: torchvision's CPU kernel runs in one thread."""
    return _on_cpu(x)


def use_rows_of_positions(x: Tensor) -> bool:
    """Scores of positions and tokens computed position by position, then copied: faster in float32."""
    return _on_cpu(x) and x.dtype == torch.float32


def has_no_padding(mask: Tensor) -> bool:
    """Whether ``mask``, False at padding, is read and all True; it is not read on a GPU, where that means waiting."""
    return _unpadded or (_on_cpu(mask) and bool(mask.all()))
