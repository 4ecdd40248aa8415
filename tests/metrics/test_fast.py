"""The faster evaluator gives what pycocotools gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from odinw_bench.metrics import coco, fast

hotcoco = pytest.importorskip("hotcoco", reason="the extra 'fast' is not installed")


def world(seed: int, *, images: int = 40, text_ids: bool = False) -> tuple[dict, list[dict]]:
    """Random boxes and detections: crowds, ties in score, boxes detected twice, areas that are not the box's."""
    rng = np.random.default_rng(seed)
    name = (lambda i: f"photo {i * 7 % images}") if text_ids else (lambda i: i * 7 % images)
    categories = [{"id": 3 * c + 1, "name": f"class {c}"} for c in range(6)]
    truth, found = [], []
    for i in range(images):
        boxes = np.c_[rng.uniform(0, 300, (8, 2)), rng.uniform(2, 180, (8, 2))].round(1)
        for x in boxes[: rng.integers(0, 9)]:
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": name(i),
                    "category_id": int(3 * rng.integers(5) + 1),
                    "bbox": x.tolist(),
                    "area": float(x[2] * x[3] * rng.uniform(0.5, 1)),
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
        for _ in range(rng.integers(0, 130)):
            x = boxes[rng.integers(8)] + rng.normal(0, 5, 4)
            x[2:] = np.abs(x[2:]) + 1
            found.append(
                {
                    "image_id": name(i),
                    "category_id": int(3 * rng.integers(5) + 1),
                    "bbox": x.tolist(),
                    "score": float(rng.integers(50) / 50),
                }
            )
    pictures = [{"id": name(i), "file_name": f"{i}.jpg", "width": 500, "height": 500} for i in range(images)]
    return {"images": pictures, "categories": categories, "annotations": truth}, found


@pytest.mark.parametrize("text_ids", [False, True])
@pytest.mark.parametrize("most", [1, 100, 500])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_to_the_last_bit(seed, most, text_ids, monkeypatch):
    annotations, found = world(seed, text_ids=text_ids)
    assert fast.evaluator().startswith("hotcoco")
    quick = coco.evaluate(annotations, found, max_detections=most)
    monkeypatch.setenv(fast.VARIABLE, fast.REFERENCE)
    assert fast.evaluator() == fast.REFERENCE
    assert coco.evaluate(annotations, found, max_detections=most) == quick


def test_any_whole_numbers_can_be_class_ids(monkeypatch):
    """hotcoco takes 64 bits, and none below 0: it refused after all the detection was done."""
    annotations, found = world(0)
    other = {1: -7, 4: 3, 7: 1 << 70, 10: 1 << 80, 13: 1 << 90, 16: 1 << 100}
    for entry in (*annotations["annotations"], *found):
        entry["category_id"] = other[entry["category_id"]]
    for category in annotations["categories"]:
        category["id"] = other[category["id"]]
    quick = coco.evaluate(annotations, found)
    monkeypatch.setenv(fast.VARIABLE, fast.REFERENCE)
    assert coco.evaluate(annotations, found) == quick


def test_the_reference_evaluates_where_ids_matter(monkeypatch):
    """pycocotools never counts annotation 0 as found; hotcoco is not asked."""
    annotations, found = world(0)
    for number, box in enumerate(annotations["annotations"]):
        box["id"] = number
    first = annotations["annotations"][0] | {"iscrowd": 0}
    annotations["annotations"][0] = first
    found.append({name: first[name] for name in ("image_id", "category_id", "bbox")} | {"score": 1.0})
    quick = coco.evaluate(annotations, found)
    monkeypatch.setenv(fast.VARIABLE, fast.REFERENCE)
    assert coco.evaluate(annotations, found) == quick
    assert quick["AP_official_ids"] != quick["AP"]
