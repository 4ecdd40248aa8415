"""A small detector with all parts of a GLIP, and photos."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment

import glip_core
from glip_core.config import PRESETS

PROMPT = glip_core.Prompt.parse("fish. stingray, which is flat. jellyfish")


def small_detector(preset: str = "glip-nano", *, seed: int = 0, **changes) -> glip_core.Detector:
    """A nano model with one block a stage and one in the tower: traced in seconds."""
    config = PRESETS[preset]
    config = replace(config, swin=replace(config.swin, depths=(2, 1, 1, 1)), blocks=1, **changes)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        detector = glip_core.assemble(config, num_classes=None if config.has_text else len(PROMPT))
        head = detector.get_submodule("head")
        (head.bias0 if config.has_text else head.cls_logits.bias).zero_()  # scores near 0.5: many detections
    return detector


@pytest.fixture
def photos() -> list[Image.Image]:
    """Two of other shapes, one of which has maps of a single row."""
    noise = np.random.default_rng(0)
    sizes = ((200, 300, 3), (60, 400, 3))
    return [Image.fromarray(noise.integers(0, 255, size, dtype=np.uint8)) for size in sizes]


def assert_same(found: glip_core.Detections, wanted: glip_core.Detections) -> None:
    """The same detections: one to one, within 0.001 in score and 0.1 pixels.

    Scores that lie closer than that may change places: in the order, and, where a list
    is full (both then have as many), at its end, one in for one out.
    """
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.scores.numpy(), wanted.scores.numpy(), atol=1e-3)
    alike = (
        (found.labels[:, None] == wanted.labels)
        & ((found.scores[:, None] - wanted.scores).abs() <= 1e-3)
        & ((found.boxes[:, None] - wanted.boxes).abs() <= 0.1).all(dim=2)
    )
    rows, columns = linear_sum_assignment(alike.numpy(), maximize=True)
    paired = alike.numpy()[rows, columns]
    for detections, without in ((found, rows[~paired]), (wanted, columns[~paired])):
        at_the_end = detections.scores[without] <= detections.scores[-1] + 1e-3
        assert at_the_end.all(), f"no partner for {detections.boxes[without]}, {detections.scores[without]}"


@pytest.fixture(autouse=True)
def _no_trace_log():
    """Torch logs every step of tracing at the lowest level; pytest would write minutes of it down."""
    before = logging.root.manager.disable
    logging.disable(logging.DEBUG)
    yield
    logging.disable(before)
