"""Annotations with id 0: the reference evaluator never counts them as found, so both numbers are recorded."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from odinw_bench import evaluate
from tests.report import made


def truth(first_id: int, *, repeat: bool = False) -> dict:
    """Three images with nine boxes of two classes; ids from ``first_id``."""
    boxes = [
        {"id": first_id + n, "image_id": 1 + n // 3, "category_id": 1 + n % 2, "bbox": [8 * n, 5, 30 + n, 20 + 2 * n]}
        for n in range(9)
    ]
    if repeat:
        boxes[4]["id"] = boxes[7]["id"]
    for box in boxes:
        box |= {"area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": boxes,
    }


def found(data: dict, seed: int) -> list[dict]:
    """Detections near the boxes, more or less."""
    rng = np.random.default_rng(seed)
    return [
        {
            "image_id": box["image_id"],
            "category_id": box["category_id"],
            "bbox": (np.array(box["bbox"]) + rng.normal(0, 2, 4)).clip(1).tolist(),
            "score": float(rng.random()),
        }
        for box in data["annotations"] * 2
    ]


def reference(data: dict, detections: list[dict]) -> float:
    """AP in percent of pycocotools on the file as it is."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(data)
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(copy.deepcopy(detections)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return 100 * float(evaluator.stats[0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("repeat", [False, True])
def test_both_numbers_are_those_of_pycocotools(seed, repeat):
    data = truth(0, repeat=repeat)
    detections = found(data, seed)
    metrics = evaluate(data, detections)
    assert metrics["AP"] == pytest.approx(reference(truth(1), detections), abs=1e-9)
    assert metrics["AP_official_ids"] == pytest.approx(reference(data, detections), abs=1e-9)
    assert metrics["AP_official_ids"] < metrics["AP"]


def test_ids_that_change_nothing_leave_the_metrics_as_they_were():
    data = truth(1)
    assert "AP_official_ids" not in evaluate(data, found(data, 0))
    for box in data["annotations"]:
        del box["id"]
    assert "AP_official_ids" not in evaluate(data, found(data, 0))
    assert "AP_official_ids" not in evaluate(truth(0), found(data, 0), official_ids=False)


def test_record_and_report_say_which_is_which(tmp_path, cli):
    folder = tmp_path / "pets"
    (folder / "test").mkdir(parents=True)
    data = truth(0)
    (folder / "test" / "_annotations.coco.json").write_text(json.dumps(data))
    (tmp_path / "p.json").write_text(json.dumps(found(data, 0)))
    results, out = tmp_path / "results", tmp_path / "out"
    answer = cli("score", "--dataset", folder, "--predictions", tmp_path / "p.json", "--model-name", "m", "--json",
                 "--results", results)  # fmt: skip
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)["records"][0]
    assert record["metrics"]["AP_official_ids"] < record["metrics"]["AP"]
    assert "AP_official_ids takes the ids as they are" in record["data"]["annotation_notes"]["test"][0]
    shown = cli("show", next(results.glob("*/m/*/*")))
    assert "AP_official_ids" in shown.out
    made.write(results, made.record(made.spec(dataset="packages"), made.metrics(50.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    heads = {path.name: next(csv.DictReader(path.open())) for path in (out / "tables").glob("*.csv")}
    ours = heads["custom-classes-pets.csv"]  # one's own data set has its numbers once, with those of its classes
    assert float(ours["AP official ids"]) == pytest.approx(record["metrics"]["AP_official_ids"], abs=1e-3)
    assert "AP official ids" not in heads["mini-headline.csv"]
    assert "never counts an annotation with id 0" in (out / "report.md").read_text()


def test_published_numbers_are_held_against_the_official_ids(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    for task, official in (("raccoon", None), ("thermal", 30.0)):
        one = made.spec(dataset=task, mode="zero-shot", model="glip-t", suite="odinw13")
        metrics = made.metrics(40.0) | ({} if official is None else {"AP_official_ids": official})
        made.write(results, made.record(one, metrics))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    line = next(csv.DictReader((out / "tables" / "odinw13-headline.csv").open()))
    paper = (57.8 + 44.1) / 2
    assert float(line["AP"]) == 40.0
    assert float(line["AP official ids"]) == 35.0  # a task whose ids change nothing counts with its AP
    assert float(line["published"]) == pytest.approx(paper, abs=1e-3)
    assert float(line["difference"]) == pytest.approx(35.0 - paper, abs=1e-3)
