"""Linear layers in int8, which the program does not offer: what it would gain in time and cost in AP.

``python -m tests.benchmarks.int8 [TASK ...]`` prints AP without tuning on the miniature in float32 and with all linear
layers of the network in int8, by names and by attributes. The time of GLIP-T is a line of
:mod:`tests.benchmarks.ratios`.
"""

from __future__ import annotations

import copy
import statistics
import sys
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from odinw_bench.engine.predict import detect_split
from odinw_bench.metrics.coco import evaluate
from odinw_bench.mini.recipes import task_names
from odinw_bench.models import Model, find_model
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.spec import RunSpec
from tests.benchmarks.cases import Case, detect, detector_of

LARGEST = 127  # of a weight in int8


class Int8Linear(nn.Module):
    """A linear layer by torch's int8 product: weights by output channel, inputs by tensor, measured at each call."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias, self.out_features = layer.weight, layer.bias, layer.out_features
        weight = layer.weight.detach()
        scale = (weight.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny).double()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's notice that its quantised tensors move to another package
            zero = torch.zeros(len(weight), dtype=torch.long)
            rounded = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
        self.packed = torch.ops.quantized.linear_prepack(rounded, layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]`` in float32."""
        return torch.ops.quantized.linear_dynamic(x, self.packed)


def to_int8(network: nn.Module) -> int:
    """Replace all linear layers inside of a network; returns how many."""
    count = 0
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
                count += 1
    return count


def detect_in_int8(name: str) -> Case:
    """One image with the linear layers of the vision backbone in int8, everything else in float32."""
    work, vision = detect(name), detector_of(name, fusion=True).vision
    plain, quantised = vision.swin, copy.deepcopy(vision.swin)
    to_int8(quantised)

    def in_int8() -> object:
        vision.swin = quantised
        try:
            return work()
        finally:
            vision.swin = plain

    return in_int8


def ap(model: Model, task: str, mode: str) -> float:
    """AP in percent on a miniature task's test split."""
    cell = prepare(RunSpec(task, mode=mode))
    found = detect_split(model, cell.prompt, cell.test)
    return float(evaluate(cell.test.annotations, found, official_ids=False)["AP"] or 0.0)


def table(tasks: Sequence[str]) -> None:
    """Measure and print."""
    plain, quantised = (find_model("glip-nano").load(None, "cpu") for _ in range(2))
    to_int8(quantised.network)  # type: ignore[attr-defined]
    print(f"| AP without tuning, mean of {len(tasks)} tasks | float32 | int8 | single tasks, int8 - float32 |")
    print("|---|---:|---:|---|")
    for mode, prompt in (("zero-shot", "names"), ("manual", "attributes")):
        pairs = [(ap(plain, task, mode), ap(quantised, task, mode)) for task in tasks]
        first, second = (statistics.mean(side) for side in zip(*pairs, strict=True))
        moves = [b - a for a, b in pairs]
        print(f"| {prompt} | {first:.2f} | {second:.2f} | {min(moves):+.2f} to {max(moves):+.2f} |", flush=True)


if __name__ == "__main__":
    table(sys.argv[1:] or task_names())
