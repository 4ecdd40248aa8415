"""The Triton kernel against the plain formula: ``TRITON_INTERPRET=1 python -m tests.glip_core.triton_check``.

The variable counts when Triton is imported, so this is a program of its own. It prints the largest errors as JSON.
Without the variable it compiles the kernels for an H100, which needs none, and prints the size of their code.
"""

from __future__ import annotations

import json
import os

import torch

from glip_core.modeling import triton_deform
from glip_core.modeling.sampling import output_size
from glip_core.modeling.triton_deform import deform_map

from .reference import plain_deform_conv

CASES = {
    "one pixel": (1, 3, (1, 1), 1),
    "two images": (2, 6, (5, 7), 1),
    "stride 2": (2, 5, (8, 6), 2),
    "several blocks of channels": (1, 130, (3, 4), 1),
}


def inputs_of(batch: int, channels: int, size: tuple[int, int], stride: int) -> list[torch.Tensor]:
    """Map, offsets, mask, weight and bias in float64; many samples fall outside."""
    torch.manual_seed(1)
    shape = output_size(*size, stride)
    values = [
        torch.randn(batch, channels, *size),
        torch.randn(batch, 18, *shape) * 3,
        torch.rand(batch, 9, *shape),
        torch.randn(4, channels, 3, 3),
        torch.randn(4),
    ]
    return [value.double().requires_grad_() for value in values]


def error(ours: torch.Tensor, plain: torch.Tensor) -> float:
    """The largest difference as a share of the largest value; infinite for a NaN."""
    found = float(((ours.double() - plain).abs().max() / plain.abs().max().clamp(min=1e-30)).detach())
    return found if found == found else float("inf")


def compare(*case: object) -> dict[str, float]:
    """Errors of the output and of all gradients in float64, of the output in bfloat16."""
    inputs = inputs_of(*case)  # type: ignore[arg-type]
    stride = int(case[-1])  # type: ignore[call-overload]
    plain, ours = plain_deform_conv(*inputs, stride), deform_map(*inputs, stride)
    sides = torch.linspace(-1, 1, plain.numel(), dtype=torch.double).sin().reshape(plain.shape)
    found = {"output": error(ours, plain)}
    names = ("map", "offsets", "mask", "weight", "bias")
    grads = zip(*(torch.autograd.grad((out * sides).sum(), inputs) for out in (ours, plain)), strict=True)
    found |= {f"gradient of {name}": error(a, b) for name, (a, b) in zip(names, grads, strict=True)}
    x, offsets, mask, weight, bias = inputs
    half = deform_map(x.bfloat16(), offsets.float(), mask.float(), weight.bfloat16(), bias.bfloat16(), stride)
    assert half.dtype == torch.bfloat16
    found["output in bf16"] = error(half, plain)
    return found


def extremes() -> dict[str, bool]:
    """Offsets that nobody means: far away is 0, NaN stays NaN."""
    x, weight, bias = torch.randn(1, 4, 5, 5), torch.randn(4, 4, 3, 3), torch.zeros(4)
    mask = torch.ones(1, 9, 5, 5)
    far = [deform_map(x, torch.full((1, 18, 5, 5), v), mask, weight, bias, 1) for v in (1e9, -1e30, float("inf"))]
    lost = deform_map(x, torch.full((1, 18, 5, 5), float("nan")), mask, weight, bias, 1)
    empty = deform_map(x[:0], torch.zeros(0, 18, 5, 5), mask[:0], weight, bias, 1)
    return {
        "far": all(out.equal(torch.zeros_like(out)) for out in far),
        "NaN": bool(lost.isnan().all()),
        "empty": empty.shape == (0, 4, 5, 5),
    }


def compiled(kind: str) -> dict[str, int]:
    """Bytes of machine code of both kernels for maps of a type (``bf16``, ``fp32``)."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    maps, full = f"*{kind}", "*fp32"
    sizes = dict.fromkeys(("positions", "height", "width", "out_h", "out_w", "channels", "stride"), "i32")
    blocks = {"POSITIONS": 16, "CHANNELS": 128}
    pointers = {
        "_sample": {"maps": maps, "offsets": full, "mask": full, "columns": maps},
        "_sample_backward": {"maps": maps, "offsets": full, "mask": full, "gradient": maps}
        | {"of_maps": full, "of_offsets": full, "of_mask": full},
    }
    found = {}
    for name, given in pointers.items():
        types = given | sizes | dict.fromkeys(blocks, "constexpr")
        source = ASTSource(getattr(triton_deform, name), types, blocks)
        found[name] = len(compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"])
    return found


if __name__ == "__main__":
    if os.environ.get("TRITON_INTERPRET") == "1":
        errors = {name: compare(*case) for name, case in CASES.items()}
        print(json.dumps({"errors": errors, "extremes": extremes()}))
    else:
        print(json.dumps({kind: compiled(kind) for kind in ("fp32", "bf16")}))
