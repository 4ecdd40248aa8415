from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glip_core.errors import InputError
from odinw_bench.datasets.fewshot import pick_shots


def check(annotations: dict[str, Any], answers: dict[str, list[int]]) -> None:
    assert len(answers) == 12
    for setting, ids in answers.items():
        shots, seed = (int(part.split("=")[1]) for part in setting.split(","))
        assert pick_shots(annotations, shots=shots, seed=seed) == ids, setting


@pytest.mark.parametrize("name", ["fewshot_vectors.json", "fewshot_vectors_edge.json"])
def test_equals_the_official_sampler(shared: Path, name: str) -> None:
    cases = json.loads((shared / "odinw" / name).read_text())["cases"]
    assert cases
    for case in cases:
        check(case["annotations"], case["image_ids"])


def test_equals_the_official_sampler_on_real_annotations(shared: Path) -> None:
    real = json.loads((shared / "odinw" / "fewshot_vectors_edge.json").read_text())["real"]
    assert real
    for folder, answers in real.items():
        path = shared / "odinw" / "data" / folder / "annotations_without_background.json"
        check(json.loads(path.read_text()), answers)


def coco(*images: tuple[Any, list[tuple[int, float, float]]]) -> dict[str, Any]:
    """Annotations from (image id, [(category, width, height), ...])."""
    return {
        "images": [{"id": image_id} for image_id, _ in images],
        "annotations": [
            {"image_id": image_id, "category_id": category, "bbox": [0, 0, width, height]}
            for image_id, boxes in images
            for category, width, height in boxes
        ],
    }


def test_images_without_a_usable_box_are_never_picked() -> None:
    data = coco((3, [(1, 5, 5)]), (2, [(1, 1, 30)]), (1, []), (4, [(1, 1, 1), (1, 2, 2)]))
    assert pick_shots(data, shots=10, seed=0) == [3, 4]
    assert pick_shots(data, shots="all", seed=3) == [3, 4]
    assert pick_shots(data, shots=0, seed=3) == []


def test_every_category_of_a_taken_image_counts() -> None:
    # image 1 fills both categories, 2 has nothing new, 3 has one that is not full
    data = coco((1, [(1, 9, 9), (2, 9, 9), (1, 9, 9)]), (2, [(1, 9, 9)]), (3, [(1, 9, 9), (5, 9, 9)]))
    assert pick_shots(data, shots=1, seed=0) == [1, 3]
    assert pick_shots(data, shots=2, seed=0) == [1, 2, 3]


def test_string_ids_are_sorted_as_text_and_the_order_in_the_file_is_immaterial() -> None:
    images = [("10", [(1, 9, 9)]), ("9", [(2, 9, 9)]), ("b", [(3, 9, 9)])]
    assert pick_shots(coco(*reversed(images)), shots=1, seed=0) == ["10", "9", "b"]
    assert pick_shots(coco(*images), shots=1, seed=7) == pick_shots(coco(*reversed(images)), shots=1, seed=7)


@pytest.mark.parametrize(("shots", "seed"), [(-1, 3), ("five", 3), (1.5, 3), (True, 3), (1, -3), (1, "3")])
def test_bad_settings(shots: Any, seed: Any) -> None:
    with pytest.raises(InputError, match="must be a whole number"):
        pick_shots(coco((1, [(1, 9, 9)])), shots=shots, seed=seed)
