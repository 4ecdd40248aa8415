"""Advice on real photos in three forms: an answer within the budget, which names what the small models cannot do."""

from __future__ import annotations

import pytest

from odinw_bench import advise
from tests.datasets.forms.test_photos import read_pictures
from tests.datasets.forms.writers import WRITERS

pytestmark = pytest.mark.integration

BUDGET = 60.0
"""Seconds."""


@pytest.mark.parametrize("form", ["roboflow", "ultralytics", "voc"])
def test_an_answer_within_the_budget(shared, tmp_path, form):
    data = read_pictures(shared / "odinw/data/Raccoon/Raccoon.v2-raw.coco", ["raccoon"])
    WRITERS[form](tmp_path / "photos", data, ["raccoon"])
    advice = advise(tmp_path / "photos", BUDGET, results=tmp_path / "results", retention=())
    assert advice["seconds"] <= BUDGET
    assert len(advice["candidates"]) >= 6
    assert advice["data"]["images"] == 150 + 29
    best = advice.recommendation
    assert best["low"] <= best["expected_AP"] <= best["high"]
    assert "--dataset" in best["command"]
    assert any("drawn scenes only" in note for note in advice["notes"])
    assert all(one["AP"] is not None or one["tried"].startswith("not tried: ") for one in advice["candidates"])
