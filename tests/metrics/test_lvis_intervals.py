"""Resamples of LVIS data: an image that is drawn twice is two images."""

from __future__ import annotations

from odinw_bench.metrics import evaluate_lvis
from tools.lvis_intervals import resampled


def made():
    images = [{"id": 10 * n, "file_name": f"{n}.png", "width": 9, "height": 9} for n in (1, 2, 3)]
    boxes = [
        {"id": n, "image_id": 10 * n, "category_id": 1, "bbox": [0, 0, 4 + n, 4], "area": 4 * (4 + n)}
        for n in (1, 2, 3)
    ]
    found = [{"image_id": 10 * n, "category_id": 1, "bbox": [0, 0, 5, 4], "score": n / 10} for n in (1, 2, 3)]
    return {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a", "frequency": "r"}]}, found


def test_every_image_once_changes_nothing():
    annotations, found = made()
    assert evaluate_lvis(*resampled(annotations, found, [0, 1, 2])) == evaluate_lvis(annotations, found)


def test_one_image_twice():
    annotations, found = made()
    twice, kept = resampled(annotations, found, [0, 0])
    assert [image["id"] for image in twice["images"]] == [1, 2]
    assert [(one["id"], one["image_id"], one["bbox"][2]) for one in twice["annotations"]] == [(1, 1, 5), (2, 2, 5)]
    assert [one["image_id"] for one in kept] == [1, 2]
    assert evaluate_lvis(twice, kept)["APr"] == 100.0
