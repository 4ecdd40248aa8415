"""``torch.compile`` of parts of GLIP-T, which the program does not use: what it takes and what it would save."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from glip_core.memory import keep_freed_memory
from tests.benchmarks.cases import detector_of, image
from tests.benchmarks.tuning import in_turns

IMAGES = 10
"""Compiling should have paid by then."""


@torch.no_grad()
def parts(name: str = "glip-t", pixels: torch.Tensor | None = None) -> dict[str, tuple[Callable[..., Any], Any, int]]:
    """Parts whose code is the same for all images: what to call, with what, and how often an image calls it."""
    detector = detector_of(name)
    pixels = image() if pixels is None else pixels
    maps = detector.vision(pixels)
    block = detector.tower[0]
    return {
        "Swin": (detector.vision.swin, (pixels,), 1),
        "a DyHead block": (block.dyconv, (maps,), len(detector.tower)),
    }


@torch.no_grad()
def table(names: Sequence[str] = ("Swin", "a DyHead block"), *, runs: int = 3) -> None:
    """Compile, measure and print."""
    print("| `torch.compile`, fp32 | seconds to compile | before, s | after, s | saved by ten images, s |")
    print("|---|---:|---:|---:|---:|")
    keep_freed_memory()
    found = parts()
    for name in names:
        plain, inputs, times = found[name]
        made = partial(torch.compile(plain, dynamic=False), *inputs)
        started = time.perf_counter()
        made()
        taken = time.perf_counter() - started
        both = in_turns([partial(plain, *inputs), made], runs)
        before, after = map(statistics.median, both)
        saved = IMAGES * times * (before - after)
        print(f"| {name} | {taken:.0f} | {before:.2f} | {after:.2f} | {saved:.1f} |", flush=True)


if __name__ == "__main__":
    table()
