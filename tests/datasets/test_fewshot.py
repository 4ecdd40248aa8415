from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import learnable_boxes
from odinw_bench.datasets.checks import check_task
from odinw_bench.datasets.fewshot import pick_shots
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import few_shot_subset, open_split
from tests.cli.conftest import write_dataset


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


def odd_pets(folder: Path) -> Path:
    """A data set in which most boxes of the first class are crowds, and most of the second empty."""
    write_dataset(folder, images=12)
    path = folder / "train/_annotations.coco.json"
    data = json.loads(path.read_text())
    for i, box in enumerate(data["annotations"]):
        box["iscrowd"] = int(box["category_id"] == 1 and i >= 2)
        if box["category_id"] == 2 and i >= 2:
            box["bbox"] = [119.5, 10, 20, 20]  # nothing is left within the image
    path.write_text(json.dumps(data))
    return folder


def test_own_data_count_only_boxes_that_training_uses(tmp_path: Path) -> None:
    task = load_task(odd_pets(tmp_path / "odd"))
    train = open_split(task, "train")
    for seed in range(50):
        subset, made = few_shot_subset(task, "train", train, 1, seed)
        assert made == "rule"
        labels = [label for image_id in subset.image_ids for label in subset.targets(image_id)[1].tolist()]
        assert sorted(labels) == [0, 1]
    official = [pick_shots(train.annotations, 1, seed) for seed in range(50)]
    assert any(not set(ids) >= {0} for ids in official)  # the official rule takes crowds for shots


def test_boxes_that_training_uses_are_those_of_the_targets(tmp_path: Path) -> None:
    train = open_split(load_task(odd_pets(tmp_path / "odd")), "train")
    used = sum(len(train.targets(image_id)[1]) for image_id in train.image_ids)
    assert int(learnable_boxes(train.annotations).sum()) == used == 2


def test_the_rule_is_the_official_one_where_every_box_can_be_learnt(shared: Path) -> None:
    """So subsets of such data, and the digests of runs on them, are what they were."""
    for case in json.loads((shared / "odinw/fewshot_vectors.json").read_text())["cases"]:
        data = case["annotations"]
        sized = [{**image, "width": 10_000, "height": 10_000} for image in data["images"]]
        plain = [{**box, "iscrowd": 0} for box in data["annotations"] if min(box["bbox"][2:]) > 1]
        data = {**data, "images": sized, "annotations": plain}
        for shots, seed in itertools.product((1, 3), (0, 3)):
            assert pick_shots(data, shots, seed, learnable=True) == pick_shots(data, shots, seed)


def test_a_check_counts_boxes_that_training_uses(tmp_path: Path) -> None:
    checked = check_task(load_task(odd_pets(tmp_path / "odd")), subsets=[("all", 3)], pictures=False)
    assert checked.subsets[0].classes == {"cat": (1, 1), "dog": (1, 1)}
