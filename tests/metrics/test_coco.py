from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.metrics.coco import evaluate

REAL = ["Raccoon/Raccoon.v2-raw.coco", "thermalDogsAndPeople", "Aquarium/Aquarium Combined.v2-raw-1024.coco"]


def coco(sizes: list[float] = (20, 50, 200)) -> dict[str, Any]:  # type: ignore[assignment]
    """One image per box size; ids start at 0 as exports do."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 400, "height": 400} for i in range(len(sizes))],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, size, size]} for i, size in enumerate(sizes)
        ],
    }


def perfect(annotations: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"image_id": box["image_id"], "category_id": box["category_id"], "bbox": box["bbox"], "score": 1.0}
        for box in annotations["annotations"]
    ]


@pytest.mark.parametrize("folder", REAL)
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_perfect_predictions_score_exactly_100(shared: Path, folder: str, part: str) -> None:
    path = shared / "odinw" / "data" / folder / part / "annotations_without_background.json"
    annotations = json.loads(path.read_text())
    metrics = evaluate(annotations, perfect(annotations))
    assert metrics["AP"] == metrics["AP50"] == metrics["AP75"] == metrics["AR100"] == 100.0
    assert list(metrics["per_class"]) == [str(category["id"]) for category in annotations["categories"]]
    assert set(metrics["per_class"].values()) == {100.0}


def test_areas_and_classes_without_ground_truth_are_none() -> None:
    annotations = coco([50, 60])
    metrics = evaluate(annotations, perfect(annotations))
    assert metrics == {
        "AP": 100.0,
        "AP50": 100.0,
        "AP75": 100.0,
        "APs": None,
        "APm": 100.0,
        "APl": None,
        "AR100": 100.0,
        "per_class": {"1": 100.0, "2": None},
        "AP_official_ids": pytest.approx(100 * 51 / 202),  # ids from 0: one of two boxes is never counted as found
    }
    json.dumps(metrics, allow_nan=False)


def test_no_predictions_are_zero() -> None:
    metrics = evaluate(coco(), [])
    assert [metrics[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")] == [0.0] * 7
    assert metrics["per_class"] == {"1": 0.0, "2": None}


def test_known_value() -> None:
    # two of three found, with IoU 0.81: precision 1 up to recall 2/3 at the thresholds 0.5 ... 0.8, else nothing
    annotations = coco([100, 100, 100])
    predictions = [
        {"image_id": i, "category_id": 1, "bbox": [10, 10, 90, 90], "score": score} for i, score in ((0, 0.9), (1, 0.8))
    ]
    metrics = evaluate(annotations, predictions)
    assert metrics["AP50"] == pytest.approx(100 * 67 / 101)
    assert metrics["AP"] == pytest.approx(0.7 * 100 * 67 / 101)
    assert metrics["AR100"] == pytest.approx(0.7 * 100 * 2 / 3)


def noisy(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rng = random.Random(seed)
    annotations: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in range(30)],
        "categories": [{"id": i, "name": name} for i, name in ((2, "a"), (5, "b"), (9, "c"))],
        "annotations": [],
    }
    predictions = []
    for i in range(90):
        size = rng.choice([20, 60, 150])
        box = [rng.uniform(0, 400), rng.uniform(0, 300), size, size * rng.uniform(0.5, 1.5)]
        place = {"image_id": rng.randrange(30), "category_id": rng.choice([2, 5, 9])}
        annotations["annotations"].append(
            {**place, "id": i, "bbox": box, "area": box[2] * box[3], "iscrowd": int(rng.random() < 0.1)}
        )
        for _ in range(rng.randrange(3)):
            shifted = [value + rng.gauss(0, size / 15) for value in box]
            predictions.append({**place, "bbox": [*shifted[:2], *map(abs, shifted[2:])], "score": rng.random()})
    return annotations, predictions


def test_equals_pycocotools(capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, predictions = noisy(1)
    originals = copy.deepcopy((annotations, predictions))
    metrics = evaluate(annotations, predictions)
    assert capsys.readouterr().out == ""
    assert (annotations, predictions) == originals
    truth = COCO()
    truth.dataset = check_annotations(annotations)
    truth.createIndex()
    reference = COCOeval(truth, truth.loadRes(copy.deepcopy(predictions)), "bbox")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    names = {"AP": 0, "AP50": 1, "AP75": 2, "APs": 3, "APm": 4, "APl": 5, "AR100": 8}
    assert 10 < metrics["AP"] < 90
    for name, index in names.items():
        assert metrics[name] == pytest.approx(100 * reference.stats[index], abs=1e-9), name
    assert np.mean(list(metrics["per_class"].values())) == pytest.approx(metrics["AP"], abs=1e-9)


def test_string_image_ids() -> None:
    annotations = coco()
    for entry in annotations["images"]:
        entry["id"] = f"image {entry['id']}"
    for box in annotations["annotations"]:
        box["image_id"] = f"image {box['image_id']}"
    assert evaluate(annotations, perfect(annotations))["AP"] == 100.0


def test_categories_of_one_name_keep_their_own_ap() -> None:
    annotations = coco()
    annotations["categories"][1]["name"] = "cat"
    assert evaluate(annotations, perfect(annotations))["per_class"] == {"1": 100.0, "2": None}


def test_an_unannotated_category_0_is_background_unless_predicted() -> None:
    annotations = coco()
    annotations["categories"].append({"id": 0, "name": "animals"})
    assert list(evaluate(annotations, perfect(annotations))["per_class"]) == ["1", "2"]
    found = [*perfect(annotations), {"image_id": 0, "category_id": 0, "bbox": [0, 0, 5, 5], "score": 0.1}]
    metrics = evaluate(annotations, found)
    assert metrics["per_class"]["0"] is None
    assert metrics["AP"] == 100.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 99}, r"predictions\[1\]\.image_id 99 is not an image"),
        ({"image_id": [1]}, r"predictions\[1\]\.image_id \[1\] is not an image"),
        ({"category_id": 7}, r"category_id 7 is not a category of the annotations; they have \[1, 2\]"),
        ({"score": float("nan")}, r"predictions\[1\]\.score must be a finite number"),
        ({"score": "high"}, r"predictions\[1\]\.score must be a finite number"),
        ({"bbox": [0, 0, float("inf"), 1]}, "four finite numbers"),
        ({"bbox": [0, 0, 1]}, "four finite numbers"),
        ({"bbox": [0, 0, 5, -1]}, "negative width or height"),
    ],
)
def test_bad_predictions_are_named(changes: dict[str, Any], message: str) -> None:
    annotations = coco()
    predictions = perfect(annotations)
    predictions[1] = {**predictions[1], **changes}
    with pytest.raises(InputError, match=message):
        evaluate(annotations, predictions)


@pytest.mark.parametrize("predictions", [{"image_id": 1}, "text", [{"image_id": 0}], [5]])
def test_predictions_that_are_none(predictions: Any) -> None:
    with pytest.raises(InputError, match="predictions"):
        evaluate(coco(), predictions)
