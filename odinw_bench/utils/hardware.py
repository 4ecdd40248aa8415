"""Which device to run on, and how many cores there are."""

from __future__ import annotations

import os

from glip_core.errors import InputError


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allow_tf32(matmul: bool, convolutions: bool | None = None) -> tuple[bool, bool]:
    """Whether GPUs may round the factors of float32 products to TF32, 10 bits: faster, and wrong by some 1e-3.

    Torch allows it for convolutions unless asked not to.

    Args:
        matmul: in matrix products.
        convolutions: in convolutions; None: likewise.

    Returns:
        both as they were before.
    """
    import torch

    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32
    products.allow_tf32 = matmul
    cudnn.allow_tf32 = matmul if convolutions is None else convolutions
    return before


def pick_device(name: str) -> str:
    """A device of torch's for ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    ``auto`` is a GPU of CUDA's, else the CPU: not all that is computed here has kernels on Apple's GPUs.

    Raises:
        InputError: another name, or a GPU that is not there.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    if name == "mps":
        if torch.backends.mps.is_available():
            return name
        raise InputError("device 'mps' is not available: torch sees no GPU of Apple's; use --device cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise InputError(f"unknown device '{name}': use auto, cpu, cuda, cuda:N or mps")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise InputError(f"device '{name}' is not available: torch sees {count} GPUs; use --device cpu")
    return name
