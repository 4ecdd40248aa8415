"""What the tables of ratios are made of runs, on the smallest of everything."""

from __future__ import annotations

import pytest
import torch

from tests.benchmarks import ratios
from tests.benchmarks.cases import tuning_epoch
from tests.benchmarks.others import cpu_seconds, detect_by_grounding_dino, evaluation


def test_a_row_has_the_ratio_of_medians_and_the_spread_of_turns():
    assert ratios.row("a / b", [2.0, 6.0, 4.0], [1.0, 2.0, 2.0]) == "| a / b | 4.000 | 2.000 | 2.00 | 2.00 to 3.00 |"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_another_detector(precision):
    scores = detect_by_grounding_dino(precision, small=True)()
    assert isinstance(scores, torch.Tensor)
    assert scores.shape[:2] == (1, 20)


def test_two_evaluators_see_the_same():
    pytest.importorskip("hotcoco")
    first, second = (evaluation(5, quick=quick)() for quick in (False, True))
    assert (first["precision"][..., -1] == second["precision"][..., -1]).all()


@pytest.mark.slow
def test_tuning_in_half_precision():
    assert tuning_epoch("glip-nano", "prompt", cached=True, images=1, precision="bf16")()


@pytest.mark.integration
def test_whole_programs():
    found = {}
    cpu_seconds(20, 1, found.__setitem__)
    assert len(found) == 2
    assert all(0 < seconds < 600 for (seconds,) in found.values())
