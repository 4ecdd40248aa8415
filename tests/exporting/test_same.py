"""What the comparison of exported models lets pass, and what it does not."""

from __future__ import annotations

import pytest
import torch

import glip_core
from tests.exporting.conftest import assert_same


def _detections(labels: list[int], scores: list[float]) -> glip_core.Detections:
    boxes = torch.arange(len(labels))[:, None] * 20 + torch.tensor([0.0, 0, 10, 10])
    return glip_core.Detections(boxes=boxes, scores=torch.tensor(scores), labels=torch.tensor(labels))


def test_neighbours_with_the_same_score_may_change_places():
    wanted = _detections([0, 1, 2, 0], [0.9, 0.5, 0.5, 0.1])
    assert_same(wanted[[0, 2, 1, 3]], wanted)
    other_end = _detections([0, 1, 2, 1], [0.9, 0.5, 0.5, 0.1])  # the list is full: another of the same score came in
    assert_same(other_end, wanted)


def test_another_label_score_or_box_is_noticed():
    wanted = _detections([0, 1, 2, 0], [0.9, 0.5, 0.5, 0.1])
    with pytest.raises(AssertionError, match="no partner"):
        assert_same(_detections([0, 2, 1, 0], [0.9, 0.5, 0.5, 0.1]), wanted)
    with pytest.raises(AssertionError):
        assert_same(_detections([0, 1, 2, 0], [0.9, 0.51, 0.5, 0.1]), wanted)
    with pytest.raises(AssertionError):
        assert_same(wanted[:3], wanted)
