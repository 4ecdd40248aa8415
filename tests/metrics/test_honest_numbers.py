"""Numbers that can be believed: the metric against its definition, what must not change them, what must."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch

import glip_core
from odinw_bench import load_task
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.predict import detect_split
from odinw_bench.metrics import crowded as matching
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models.glip import GlipModel
from tests.metrics.reference import reference_metrics


def scene(seed: int, *, images: int = 5, boxes: int = 14, found: int = 25) -> tuple[dict[str, Any], list[dict]]:
    """Random boxes and detections near and far from them; crowds and boxes without extent among them."""
    draw = random.Random(seed)
    categories = [{"id": i, "name": f"class {i}"} for i in (1, 4, 7)]
    data: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 320} for i in range(1, images + 1)],
        "categories": categories,
        "annotations": [],
    }

    def place():
        return {"image_id": draw.randint(1, images), "category_id": draw.choice(categories)["id"]}

    def box():
        size = draw.choice([0, 8, 30, 60, 140])
        return [draw.uniform(0, 180), draw.uniform(0, 180), size, size * draw.uniform(0.6, 1.4)]

    for number in range(draw.choice([0, 1, boxes])):
        crowd = int(draw.random() < 0.15)
        data["annotations"].append({**place(), "id": number, "bbox": box(), "iscrowd": crowd})
    predictions = []
    for _ in range(draw.choice([0, 1, found])):
        if data["annotations"] and draw.random() < 0.7:
            near = draw.choice(data["annotations"])
            where = {"image_id": near["image_id"], "category_id": near["category_id"]}
            shaken = [value + draw.gauss(0, 5) for value in near["bbox"]]
            bbox = [*shaken[:2], abs(shaken[2]), abs(shaken[3])]
            if draw.random() < 0.2:
                bbox = near["bbox"]
        else:
            where, bbox = place(), box()
        predictions.append({**where, "bbox": bbox, "score": draw.random()})
    return data, predictions


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("together", [False, True], ids=["box by box", "all boxes at once"])
def test_the_metric_is_its_definition(monkeypatch, tried, block, together):
    """Without detections, without ground truth, with crowds and classes that are absent: to 1e-8 of a percent."""
    if together:
        monkeypatch.setattr(matching, "MANY", 0)
    for seed in range(25 * block, 25 * block + 25):
        data, predictions = scene(seed)
        metrics = evaluate(data, predictions)
        for name, value in reference_metrics(check_annotations(data), predictions).items():
            if value is None:
                assert metrics[name] is None, (seed, name)
            else:
                assert metrics[name] == pytest.approx(value, abs=1e-8), (seed, name)
        tried("number: AP against its definition")


def test_ground_truth_that_is_absent():
    data, predictions = scene(3)
    data["annotations"] = []
    assert evaluate(data, predictions)["AP"] is None
    data, _ = scene(30)
    assert evaluate(data, [])["AP"] == 0


@pytest.mark.parametrize("seed", [3, 30, 300])
def test_what_does_not_change_ap(seed):
    """Order of images, boxes, predictions and classes; numbering; mirroring all of it."""
    data, predictions = scene(seed, images=8, boxes=40, found=80)
    while len(predictions) < 2:
        seed += 1
        data, predictions = scene(seed, images=8, boxes=40, found=80)
    draw = random.Random(seed)
    expected = evaluate(data, predictions)["AP"]

    def ap(change):
        other, rows = copy.deepcopy((data, predictions))
        change(other, rows)
        return evaluate(other, rows)["AP"]

    def shuffle(other, rows):
        for part in other.values():
            draw.shuffle(part)
        draw.shuffle(rows)

    def renumber(other, rows):
        new = {entry["id"]: 100 - entry["id"] for entry in other["categories"]}
        for entry in other["categories"]:
            entry["id"] = new[entry["id"]]
        for entry in [*other["annotations"], *rows]:
            entry["category_id"] = new[entry["category_id"]]
            entry["image_id"] += 1000
        for entry in other["images"]:
            entry["id"] += 1000

    def mirror(other, rows):
        for entry in [*other["annotations"], *rows]:
            x, y, width, height = entry["bbox"]
            entry["bbox"] = [320 - x - width, y, width, height]

    for change in (shuffle, renumber, mirror):
        assert ap(change) == pytest.approx(expected, abs=1e-9), change.__name__


@pytest.fixture(scope="module")
def fish():
    """The nano model, a drawn test split and its prompt."""
    task = load_task("aquarium", "mini")
    split = open_split(task, "test")
    return GlipModel(glip_core.load("glip-nano")), split.subset(split.image_ids[:12]), task_prompt(task, "manual")


def test_neither_batches_nor_the_order_of_images_change_the_ap_of_a_model(fish, monkeypatch):
    """Another batch sums in another order: float32's last bits, so scores to 1e-4 and AP to a tenth."""
    detector, split, prompt = fish
    rows = detect_split(detector, prompt, split)
    expected = evaluate(split.annotations, rows)["AP"]
    assert expected > 10
    monkeypatch.setattr(GlipModel, "batch_size", 1)
    alone = detect_split(detector, prompt, split)
    assert evaluate(split.annotations, alone)["AP"] == pytest.approx(expected, abs=0.1)
    best = [sorted((row["score"] for row in some), reverse=True)[:20] for some in (rows, alone)]
    assert best[1] == pytest.approx(best[0], abs=1e-4)
    backwards = detect_split(detector, prompt, split.subset(split.image_ids[::-1]))
    assert evaluate(split.annotations, backwards)["AP"] == pytest.approx(expected, abs=1e-9)


def test_how_classes_are_numbered_does_not_change_the_ap_of_a_model(fish):
    """The caption is the same; only which label is whose changes."""
    detector, split, prompt = fish
    expected = evaluate(split.annotations, detect_split(detector, prompt, split))["AP"]
    order = list(range(len(prompt.names)))[::-1]
    turned = glip_core.Prompt(
        prompt.caption, tuple(prompt.spans[i] for i in order), tuple(prompt.names[i] for i in order)
    )
    count = len(order)
    ids = {number: split.category_ids[count - 1 - place] for place, number in enumerate(split.category_ids)}
    rows = detect_split(detector, turned, split)
    back = [{**row, "category_id": ids[row["category_id"]]} for row in rows]
    assert evaluate(split.annotations, back)["AP"] == pytest.approx(expected, abs=1e-6)


def test_labels_that_mean_nothing_teach_nothing(fish):
    """The control: tuned on shuffled labels, a model scores what chance gives.

    The class layer of DyHead starts from nothing, so all it knows of classes it learns here.
    """
    from glip_core import tuning
    from odinw_bench.datasets.coco import Split
    from odinw_bench.datasets.sources import few_shot_subset
    from odinw_bench.engine.recipes import hyperparameters
    from odinw_bench.engine.scorer import shuffled
    from odinw_bench.engine.train import tune

    _, test, _ = fish
    task = load_task("aquarium", "mini")
    prompt = task_prompt(task, "prompt")
    train, _ = few_shot_subset(task, "train", open_split(task, "train"), 5, 3)
    reached = {}
    for labels in ("true", "shuffled"):
        split = train
        if labels == "shuffled":
            split = Split(shuffled(train.annotations, 3), train.load_image, sha256="", image_ids=train.image_ids)
        torch.manual_seed(3)
        detector = GlipModel(glip_core.load("dyhead-nano", num_classes=7))
        recipe = hyperparameters("mini-1", "linear", 5, {"epochs": 4, "eval_every": 4})
        tune(detector, tuning.get_mode("linear"), prompt, split, split, recipe, seed=3)
        reached[labels] = evaluate(test.annotations, detect_split(detector, prompt, test))["AP"]
    assert reached["true"] > 20
    assert reached["shuffled"] < reached["true"] / 3, reached
