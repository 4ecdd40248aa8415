"""What is timed: the same work by the plain formula and by ours, on inputs made here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

import glip_core
from glip_core import Detector, Prompt
from glip_core.config import get_config
from glip_core.modeling.deform import Levels, deform_conv
from odinw_bench.engine.predict import autocast
from odinw_bench.profiling.measure import CLASSES
from tests.glip_core.reference import plain_formulation

SIZE = (800, 1088)
DEVICE = torch.device(os.environ.get("BENCHMARK_DEVICE", "cpu"))
Case = Callable[[], object]


@lru_cache(maxsize=2)  # no more at a time: GLIP-L alone takes 1.7 GB
def detector_of(name: str, *, fusion: bool = True) -> Detector:
    """A detector with random weights, ready to detect."""
    torch.manual_seed(0)
    config = get_config(name)
    if not fusion:
        config = replace(config, fusion=None)
    return glip_core.assemble(config, num_classes=None if config.has_text else len(CLASSES)).to(DEVICE)


def image(batch: int = 1) -> Tensor:
    """Made-up pixels ``[B, 3, 800, 1088]``."""
    return torch.randn(batch, 3, *SIZE, generator=torch.Generator().manual_seed(0)).to(DEVICE)


def detect(name: str, *, precision: str = "fp32", fusion: bool = True) -> Case:
    """One image through the network and post-processing, ours: the prompt is encoded once."""
    detector, pixels, prompt = detector_of(name, fusion=fusion), image(), Prompt.from_classes(CLASSES)

    with torch.no_grad(), autocast(detector.device, precision):
        encoded = detector.encode(prompt)

    @torch.no_grad()
    def work() -> object:
        with autocast(detector.device, precision):
            return detector.detect(pixels, [SIZE], encoded)

    return work


def detect_plainly(name: str) -> Case:
    """The same by the plain formulas."""
    ours = detect(name)

    def work() -> object:
        with plain_formulation():
            return ours()

    return work


def deformable(*, plain: bool, backward: bool) -> Case:
    """One 3x3 layer of 256 channels at 100x136, by torchvision's kernel or ours."""
    generator = torch.Generator().manual_seed(0)
    x, offsets = (torch.randn(1, c, 100, 136, generator=generator) for c in (256, 18))
    mask = torch.rand(1, 9, 100, 136, generator=generator)
    weight, bias = torch.randn(256, 256, 3, 3, generator=generator) * 0.01, torch.zeros(256)
    inputs = [t.to(DEVICE).requires_grad_(backward) for t in (x, offsets, mask, weight, bias)]
    x, offsets, mask, weight, bias = inputs

    def work() -> object:
        if plain:
            out = deform_conv2d(x, offsets, weight, bias, padding=1, mask=mask)
        else:
            (out,) = deform_conv(Levels.to_sample([x]), [(offsets, mask)], weight, bias, stride=1)
        return torch.autograd.grad(out.sum(), inputs) if backward else out

    return work
