"""Bad input of the LVIS metrics: one line that says what and where; and its federated rules in small."""

from __future__ import annotations

from typing import Any

import pytest

from glip_core import InputError
from odinw_bench.metrics import evaluate_lvis

TRUTH: dict[str, Any] = {
    "images": [{"id": 1, "neg_category_ids": [7], "not_exhaustive_category_ids": []}, {"id": 2}],
    "categories": [{"id": 5, "frequency": "r"}, {"id": 7, "frequency": "f"}, {"id": 9}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 10, 10]}],
}
HIT = {"image_id": 1, "category_id": 5, "bbox": [0, 0, 10, 10], "score": 0.9}


def test_what_nobody_annotated_counts_neither_way():
    metrics = evaluate_lvis(TRUTH, [{**HIT, "category_id": 9, "score": 1.0}, {**HIT, "image_id": 2, "score": 1.0}, HIT])
    assert metrics["AP"] == metrics["APr"] == 100
    assert metrics["APf"] is None  # judged in an image, but no truth anywhere
    assert metrics["per_category"][9]["AP"] is None


def test_the_best_of_each_category_over_all_images():
    wrong = {**HIT, "bbox": [50, 50, 10, 10], "score": 0.95}
    assert evaluate_lvis(TRUTH, [wrong, HIT])["AP"] == pytest.approx(50)
    assert evaluate_lvis(TRUTH, [wrong, HIT], top_per_class=1)["AP"] == 0


@pytest.mark.parametrize(
    ("truth", "predictions", "options", "words"),
    [
        ({}, [], {}, "a list 'images'"),
        (TRUTH | {"categories": [{"id": 5, "frequency": "often"}]}, [], {}, "r, c or f"),
        (TRUTH | {"annotations": [{"id": 1, "image_id": 3, "category_id": 5, "bbox": [0, 0, 1, 1]}]}, [], {}, "3"),
        (TRUTH | {"annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 1]}]}, [], {}, "bbox"),
        (TRUTH | {"images": [{"id": 1, "neg_category_ids": [[5]]}]}, [], {}, "neg_category_ids must be a list"),
        (TRUTH | {"categories": [{"id": 1 << 63}]}, [], {}, "whole number of 64 bits"),
        (TRUTH, {"boxes": []}, {}, "list of COCO results"),
        (TRUTH, [{**HIT, "bbox": [0, 0, float("nan"), 1]}], {}, r"predictions\[0\].bbox"),
        (TRUTH, [{**HIT, "score": None}], {}, r"predictions\[0\].score"),
        (TRUTH, [{**HIT, "image_id": "1"}], {}, "whole numbers"),
        (TRUTH, [{"image_id": 1}], {}, "must be an object with"),
        (TRUTH, [], {"top_per_class": 0}, "top_per_class"),
        (TRUTH, [], {"max_dets": 0, "fixed": False}, "max_dets"),
    ],
)
def test_bad_input_is_one_line(truth, predictions, options, words):
    with pytest.raises(InputError, match=words) as caught:
        evaluate_lvis(truth, predictions, **options)
    assert "\n" not in str(caught.value)
