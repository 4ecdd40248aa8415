"""The learning curve: a power law is found again, and more labels never harm."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from odinw_bench.advice import curve
from odinw_bench.advice.candidates import Candidate
from odinw_bench.advice.curve import _expected, learning_curve
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.metrics.stats import paired_bootstrap, resampled_aps


def test_a_power_law_is_found_again():
    sizes = [40, 20, 10]
    aps = np.array([100 - 80 * (n / 10) ** -0.4 for n in sizes])
    for times in (2, 4):
        assert _expected(sizes, aps, times) == pytest.approx(100 - 80 * (4 * times) ** -0.4)


def test_more_labels_are_not_taken_to_do_harm():
    assert _expected([40, 20], np.array([50.0, 60.0]), 4) == pytest.approx(50)


def test_resampled_aps_are_those_of_the_paired_bootstrap():
    boxes = [[10, 10, 40, 30], [20, 5, 30, 30], [5, 5, 50, 50], [1, 2, 30, 40]]
    truth = {
        "images": [{"id": i, "width": 99, "height": 99, "file_name": f"{i}"} for i in range(4)],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "a"}],
    }
    good = [{"image_id": i, "category_id": 1, "bbox": box, "score": 0.9} for i, box in enumerate(boxes)]
    half = good[:2]
    whole, drawn = resampled_aps(truth, [good, half], 50, 3)
    compared = paired_bootstrap(truth, good, half, 50, 3)
    assert compared.difference == pytest.approx(whole[0] - whole[1])
    assert compared.low == pytest.approx(np.quantile(drawn[:, 0] - drawn[:, 1], 0.025))
    assert whole[0] == pytest.approx(100)


@pytest.mark.parametrize(("left", "begun"), [(90.0, 0), (110.0, 1)])
def test_few_images_of_fewer_are_tuned_as_long_and_not_begun_without_time(monkeypatch, left, begun):
    """The recipe repeats few images until an epoch has its least number of steps: half of them take no less time."""
    asked = []
    monkeypatch.setattr(curve, "do", lambda *given: asked.append(given))
    monkeypatch.setattr(curve, "results_on", lambda *_: ({}, []))
    candidate = Candidate("glip-nano", "prompt", 0)
    candidate.full[0] = SimpleNamespace(cost={"tune_seconds": 99.0, "test_seconds": 1.0})
    fold = SimpleNamespace(trained=tuple(range(10)))
    labelled = SimpleNamespace(folds=[fold], smaller=lambda *_: fold)
    budget = SimpleNamespace(left=lambda share=1.0: left)
    assert learning_curve(candidate, labelled, AdviceSettings("x", shots=5), budget, lambda _: None) == []
    assert len(asked) == begun
