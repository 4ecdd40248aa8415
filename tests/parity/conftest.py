"""Full-size detectors filled by the oracle's rule, built once for all parity tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

import glip_core
from glip_core import Detector, Prompt, RawOutputs, Targets, TextFeatures

from .oracle import Case, state_dict

PRESET = {"glip_t": "glip-t", "glip_t_a": "glip-t-a", "dyhead_t": "dyhead-t"}


@dataclass
class Subject:
    """A filled detector, its stored case and the case's input."""

    detector: Detector
    case: Case
    prompt: Prompt
    pixels: Tensor
    folder: Path

    def targets(self, train: Case) -> list[Targets]:
        """The ground truth of the training case."""
        boxes = torch.tensor(train.facts["gt_boxes_xyxy"])
        return [Targets(boxes, torch.tensor(train.facts["gt_labels"]) - 1)]

    def refill(self) -> None:
        """The made-up weights again, after a test has trained."""
        glip_core.load_official_state_dict(self.detector, state_dict(self.folder, self.case.name))


def make(folder: Path, name: str) -> Subject:
    classes = {"num_classes": 7} if name == "dyhead_t" else {}
    detector = glip_core.build(PRESET[name], **classes)
    glip_core.load_official_state_dict(detector, state_dict(folder, name))
    case = Case(folder, name)
    image = case.array("image0")
    pixels = torch.zeros(1, 3, *case.facts["padded_hw"])
    pixels[0, :, : image.shape[1], : image.shape[2]] = image
    prompt = Prompt.from_classes(case.facts["class_names"] or [f"class {i}" for i in range(1, 8)])
    return Subject(detector, case, prompt, pixels, folder)


@pytest.fixture(scope="session")
def parity(shared: Path) -> Path:
    return shared / "parity"


@pytest.fixture(scope="session")
def subjects(parity: Path) -> Iterator[Callable[[str], Subject]]:
    """``subjects(name)``: one detector at a time is kept, for memory's sake."""
    kept: dict[str, Subject] = {}

    def get(name: str) -> Subject:
        if name not in kept:
            kept.clear()
            kept[name] = make(parity, name)
        return kept[name]

    yield get
    kept.clear()


@dataclass
class Forward:
    """Every stored stage of one forward pass."""

    swin: list[Tensor]
    pyramid: list[Tensor]
    text: TextFeatures | None
    blocks: list[dict[str, list[Tensor] | Tensor]]
    raw: RawOutputs


@torch.no_grad()
def forward_in_steps(subject: Subject) -> Forward:
    """The forward pass of the public parts, with what lies between them."""
    detector = subject.detector.eval()
    swin = detector.vision.swin(subject.pixels)
    pyramid = detector.vision.pyramid(swin[1:])
    text = detector.encode_text(subject.prompt)
    levels, state, blocks = pyramid, text, []
    for block in detector.tower:
        stages: dict[str, list[Tensor] | Tensor] = {}
        if block.fusion is not None:
            fused, hidden = block.fusion(levels, state.hidden, state.mask)
            stages["fused_visual"], stages["fused_lang"] = fused, hidden
            stages["lang_layer"] = block.language(hidden, state.mask)
        levels, state = block(levels, state)
        stages["dyconv"] = levels
        blocks.append(stages)
    return Forward(swin, pyramid, text, blocks, detector.run_heads(levels, state))
