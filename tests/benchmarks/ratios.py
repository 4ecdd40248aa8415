"""Print the README's table of ratios, each measured in one run: ``python -m tests.benchmarks.ratios [NAME ...]``.

The two sides alternate, so that whatever else the machine does touches both; the ratio is that of the medians.
The plain formulas run with memory as the C library manages it by default, everything else as our program runs it;
``--same-memory`` gives the plain formulas ours too. ``BENCHMARK_DEVICE=cuda`` measures on a GPU.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch

from glip_core.memory import keep_freed_memory
from tests.benchmarks.cases import DEVICE, Case, deformable, detect, detect_plainly
from tests.benchmarks.int8 import detect_in_int8
from tests.benchmarks.others import detect_by_grounding_dino, evaluation
from tests.benchmarks.tuning import Tuner, tuner

Pair = Callable[[], tuple[Case, Case]]
PLAIN = "plain formulas"
SAME_MEMORY = "--same-memory"


def _both(prepared: Tuner, first: Mapping[str, bool], second: Mapping[str, bool]) -> tuple[Case, Case]:
    """Steps of one prepared model in two ways."""
    return prepared.step(**first), prepared.step(**second)


PAIRS: Mapping[str, tuple[str, int, Pair]] = {
    "glip-t": (
        f"GLIP-T, fp32: {PLAIN} / ours", 3, lambda: (detect_plainly("glip-t"), detect("glip-t"))
    ),
    "glip-t-bf16": (
        f"GLIP-T: {PLAIN} in fp32 / ours in bf16",
        3,
        lambda: (detect_plainly("glip-t"), detect("glip-t", precision="bf16")),
    ),
    "fusion": (
        "GLIP-T, fp32: without fusion / with fusion (paper: 0.52)",
        5,
        lambda: (detect("glip-t", fusion=False), detect("glip-t")),
    ),
    "fusion-l": (
        "GLIP-L, fp32: without fusion / with fusion (paper: 0.59)",
        2,
        lambda: (detect("glip-l", fusion=False), detect("glip-l")),
    ),
    "deform": (
        "deformable 3x3, forward: torchvision / ours",
        5,
        lambda: (deformable(plain=True, backward=False), deformable(plain=False, backward=False)),
    ),
    "deform-backward": (
        "deformable 3x3, forward and backward: torchvision / ours",
        3,
        lambda: (deformable(plain=True, backward=True), deformable(plain=False, backward=True)),
    ),
    "grounding-dino": (
        "fp32: grounding-dino-t of transformers / GLIP-T",
        3,
        lambda: (detect_by_grounding_dino(), detect("glip-t")),
    ),
    "grounding-dino-bf16": (
        "bf16: grounding-dino-t of transformers / GLIP-T",
        3,
        lambda: (detect_by_grounding_dino("bf16"), detect("glip-t", precision="bf16")),
    ),
    "coco": (
        "COCO's AP of 1,000 images with 100 detections each: pycocotools / hotcoco",
        3,
        lambda: (evaluation(1_000, quick=False), evaluation(1_000, quick=True)),
    ),
    "int8": (
        "GLIP-T: fp32 / linear layers of Swin in int8, the rest in fp32",
        3,
        lambda: (detect("glip-t"), detect_in_int8("glip-t")),
    ),
    "bf16": (
        "GLIP-T: fp32 / bf16", 3, lambda: (detect("glip-t"), detect("glip-t", precision="bf16"))
    ),
    "linear": (
        "GLIP-T, linear probe, a step: recomputed / from the cache",
        2,
        lambda: _both(tuner("glip-t", "linear"), {"cached": False}, {}),
    ),
    "together": (
        "GLIP-T, prompt tuning, a step of two images: one after the other / together",
        2,
        lambda: _both(tuner("glip-t", images=2), {"together": False}, {}),
    ),
    "together-nano": (
        "glip-nano, prompt tuning, a step of four images of 160x160: one after the other / together",
        10,
        lambda: _both(tuner("glip-nano", images=4, size=(160, 160)), {"together": False}, {}),
    ),
    "together-full-nano": (
        "glip-nano, full tuning, the same step: one after the other / together",
        10,
        lambda: _both(tuner("glip-nano", "full", images=4, size=(160, 160)), {"together": False}, {}),
    ),
}  # fmt: skip


def compare(slow: Case, fast: Case, runs: int, *, keep: bool) -> tuple[list[float], list[float]]:
    """Seconds of both, measured in turns after one call each; ``keep``: the slow side keeps freed memory."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, work, kept in zip(seconds, (slow, fast), (keep, True), strict=True):
            keep_freed_memory(kept)
            started = time.perf_counter()
            work()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            if run:
                side.append(time.perf_counter() - started)
    return seconds


def row(title: str, slow: list[float], fast: list[float]) -> str:
    """A line of the table: medians, the ratio of these, and the lowest and highest ratio of a turn."""
    first, second = statistics.median(slow), statistics.median(fast)
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return f"| {title} | {first:.3f} | {second:.3f} | {first / second:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"


def table(names: list[str], *, same_memory: bool, runs: int | None = None) -> None:
    """Measure and print the pairs of these names; ``runs``: turns of each, in place of its own number."""
    print("| what | seconds | seconds | times faster | in single turns |\n|---|---|---|---|---|")
    for name in names:
        title, usual, make = PAIRS[name]
        print(row(title, *compare(*make(), runs or usual, keep=PLAIN not in title or same_memory)), flush=True)


def main() -> None:
    """Print the table."""
    names = [name for name in sys.argv[1:] if name != SAME_MEMORY] or list(PAIRS)
    unknown = [name for name in names if name not in PAIRS]
    if unknown:
        sys.exit(f"unknown: {unknown[0]}; known: {', '.join(PAIRS)}")
    table(names, same_memory=SAME_MEMORY in sys.argv)


if __name__ == "__main__":
    main()
