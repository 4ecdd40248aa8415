"""Roboflow100-VL: its layout read, its tracks run and scored on 500 detections, through the program."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from odinw_bench import RunSpec, evaluate
from odinw_bench.datasets.registry import load_suite
from odinw_bench.datasets.suites import rf100vl
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import find_records, read_record

FOLDERS = ("actions", "wildfire-smoke", "varroa-mites-detection--test-set")
NAMES = ("red square", "blue circle")


def write_split(folder, images, *, offset=0, shift=0, seed=0):
    """Coloured shapes in a split of the benchmark's layout: categories from ``shift``, no background."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    entries, boxes = [], []
    for i in range(images):
        pixels = np.full((80, 120, 3), 200 + offset, np.uint8)
        x, y = int(rng.integers(5, 60)), int(rng.integers(5, 40))
        pixels[y : y + 30, x : x + 30] = (220, 20, 20) if i % 2 == 0 else (20, 20, 220)
        pixels[0, 0] = (i, offset, seed)  # no two pictures are the same
        Image.fromarray(pixels).save(folder / f"{i}.png")
        entries.append({"id": i, "file_name": f"{i}.png", "width": 120, "height": 80})
        boxes.append(
            {"id": i + 1, "image_id": i, "category_id": shift + i % 2, "bbox": [x, y, 30, 30], "area": 900,
             "iscrowd": 0}
        )  # fmt: skip
    categories = [{"id": shift + i, "name": name, "supercategory": "shapes"} for i, name in enumerate(NAMES)]
    content = {"images": entries, "annotations": boxes, "categories": categories}
    (folder / rf100vl.ANNOTATIONS).write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path):
    """Three of the hundred, whole, and one of them as the few-shot track gives it."""
    data = tmp_path / "data"
    for number, folder in enumerate(FOLDERS):
        for split, images in (("train", 6), ("valid", 4), ("test", 4)):
            write_split(data / "rf100-vl" / folder / split, images, offset=len(split), seed=number)
    write_split(data / "rf100-vl-fsod" / "actions" / "train", 3, offset=9, seed=77)
    return data


def test_the_hundred_and_the_twenty():
    hundred, twenty = load_suite("rf100vl"), load_suite("rf20vl")
    assert (len(hundred), len(twenty)) == (100, 20)
    assert {task.name for task in twenty} < {task.name for task in hundred}
    domains = Counter(rf100vl.domain_of(task.name) for task in hundred)
    assert domains == dict(zip(rf100vl.DOMAINS, (11, 10, 23, 22, 13, 6, 15), strict=True))  # as the paper counts them
    assert {rf100vl.domain_of(task.name) for task in twenty} == set(rf100vl.DOMAINS)
    assert all(task.evaluation == "rf100vl" for task in hundred + twenty)


def test_names_with_odd_hyphens_and_project_names(root):
    odd = {task.title: task.name for task in load_suite("rf100vl") if task.title != task.name}
    assert odd == {"-grccs": "grccs", "varroa-mites-detection--test-set": "varroa-mites-detection-test-set"}
    for name in ("varroa-mites-detection--test-set", "VARROA-mites-detection--test-set-1irzb-gsig"):
        cell = prepare(RunSpec(name, suite="rf100vl", mode="zero-shot"), data_root=root)
        assert cell.task.name == "varroa-mites-detection-test-set"
        assert len(cell.test) == 4


def test_classes_are_those_of_the_annotations_category_0_included(root):
    cell = prepare(RunSpec("actions", suite="rf100vl", mode="zero-shot"), data_root=root)
    assert cell.task.class_names == list(NAMES)
    assert cell.test.category_ids == [0, 1]
    assert [*cell.prompt.names] == list(NAMES)


def test_ten_shots_are_the_given_images_and_others_a_draw(root):
    given = prepare(RunSpec("actions", suite="rf100vl", shots=10), data_root=root)
    assert (given.few_shot, len(given.train)) == ("given", 3)
    assert (given.few_shot_validation, given.validation) == ("given", given.train)  # no label beside them is looked at
    other = prepare(RunSpec("actions", suite="rf100vl", shots=10, seed=30), data_root=root)
    assert other.train.sha256 == given.train.sha256
    drawn = prepare(RunSpec("actions", suite="rf100vl", shots=1), data_root=root)
    assert (drawn.few_shot, len(drawn.train)) == ("rule", 2)
    whole = prepare(RunSpec("actions", suite="rf100vl", mode="full", shots="all"), data_root=root)
    assert len(whole.train) == 6


def test_ten_shots_that_are_not_there_are_never_drawn(root, cli):
    answer = cli("run", "--suite", "rf100vl", "--dataset", "wildfire-smoke", "--shots", 10, "--data-root", root)
    line = answer.refused()
    assert "rf100-vl-fsod/wildfire-smoke/train/_annotations.coco.json" in line
    assert "data download --suite rf100vl --dataset wildfire-smoke --part 10-shot" in line


def test_the_few_shot_folder_alone_is_enough(tmp_path):
    for split, images in (("train", 3), ("valid", 4), ("test", 4)):
        write_split(tmp_path / "rf20-vl-fsod" / "actions" / split, images, offset=len(split))
    cell = prepare(RunSpec("actions", suite="rf20vl", shots=10), data_root=tmp_path)
    assert (len(cell.train), len(cell.test), cell.few_shot) == (3, 4, "given")


def test_the_twenty_are_found_among_the_hundred(root, cli):
    cell = prepare(RunSpec("actions", suite="rf20vl", shots=10), data_root=root)
    assert cell.few_shot == "given"
    listed = json.loads(cli("data", "list", "--suite", "rf20vl", "--data-root", root, "--json").out)
    assert {row["name"]: row["present"] for row in listed if row["present"] != "no"} == {
        "actions": "yes",
        "wildfire-smoke": "partly",
    }


def test_a_run_through_the_program(root, cli, tmp_path):
    results = tmp_path / "results"
    same = ("--suite", "rf100vl", "--data-root", root, "--results", results, "--engine", "local", "--quiet")
    names = "actions,wildfire-smoke"
    assert cli("run", *same, "--dataset", names, "--mode", "zero-shot").code == 0
    tuned = cli("run", *same, "--dataset", "actions", "--mode", "linear", "--shots", 10, "--set", "epochs=1")
    assert tuned.code == 0, tuned.err
    records = [record for _, record in find_records(results)]
    assert len(records) == 3
    for record in records:
        assert record["evaluation"]["name"] == "rf100vl"
        assert record["evaluation"]["detections"] == 500
        assert record.metrics["AR500"] is not None
    report = cli("report", "--results", results, "--out", tmp_path / "out")
    assert report.code == 0, report.err
    text = (tmp_path / "out/report.md").read_text()
    assert "Roboflow100-VL" in text
    assert "arXiv 2505.20612" in text
    rows = (tmp_path / "out/tables/rf100vl-domains.csv").read_text().splitlines()
    assert rows[0].split(",")[-9:-1] == ["Aerial", "Document", "Flora & Fauna", "Industrial", "Medical", "Sports",
                                         "Other", "all"]  # fmt: skip


def crowd(count):
    """One picture with many small squares, and a detection on each."""
    places = [(4 * (i % 40), 4 * (i // 40)) for i in range(count)]
    box = {"image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9}
    annotations = {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 200}],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": [{**box, "id": i + 1, "bbox": [x, y, 3, 3]} for i, (x, y) in enumerate(places)],
    }
    found = [
        {"image_id": 1, "category_id": 1, "bbox": [x, y, 3, 3], "score": 1 - i / 1000}
        for i, (x, y) in enumerate(places)
    ]
    return annotations, found


@pytest.mark.parametrize(("count", "ap"), [(400, 100.0), (600, 100 * 84 / 101)])
def test_five_hundred_detections_count(count, ap):
    """Of 400 true ones all are counted; of 600 the best 500, so that recall ends at 5/6."""
    annotations, found = crowd(count)
    assert evaluate(annotations, found, max_detections=500)["AP"] == pytest.approx(ap)
    usual = evaluate(annotations, found)
    assert usual["AP"] < 30
    assert "AR100" in usual
    assert "AR500" not in usual


def test_glip_keeps_five_hundred(monkeypatch):
    from odinw_bench.models import find_model

    model = find_model("glip-nano").load(None, "cpu")
    usual = model.network.postprocessing
    with model.keeping(500):
        assert model.network.postprocessing.per_image == 500
    assert model.network.postprocessing == usual


def test_a_file_that_is_not_coco(root, cli):
    path = root / "rf100-vl/actions/test" / rf100vl.ANNOTATIONS
    path.write_text("[]")
    answer = cli("run", "--suite", "rf100vl", "--dataset", "actions", "--mode", "zero-shot", "--data-root", root)
    assert str(path) in answer.refused()


def test_ids_of_another_export_are_refused(root):
    """The whole data set with categories from 0, the given images with the export's background before them."""
    path = root / "rf100-vl-fsod/actions/train" / rf100vl.ANNOTATIONS
    content = json.loads(path.read_text())
    for one in (*content["categories"],):
        one["id"] += 1
    for box in content["annotations"]:
        box["category_id"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(Exception, match=r"another version of the data set|no class of the task"):
        prepare(RunSpec("actions", suite="rf100vl", shots=10), data_root=root)


def test_no_data_at_all(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("ODINW_DATA_ROOT", raising=False)
    line = cli("run", "--suite", "rf100vl", "--mode", "zero-shot").refused()
    assert "needs its data: give --data-root FOLDER" in line
    line = cli("run", "--suite", "rf20vl", "--mode", "zero-shot", "--data-root", tmp_path).refused()
    assert "data download --suite rf20vl --dataset actions --part test" in line


def test_manual_wants_attributes(root, cli, tmp_path):
    """The benchmark's instructions are texts for people; a prompt of one's own is taken as everywhere."""
    command = ("run", "--suite", "rf100vl", "--dataset", "actions", "--mode", "manual", "--data-root", root)
    assert "no hand-written prompt" in cli(*command).refused()
    attributes = tmp_path / "words.yaml"
    attributes.write_text("red square: {prefix: 'bright '}\n")
    done = cli(*command, "--attributes", attributes, "--results", tmp_path / "results", "--quiet", "--engine", "local")
    assert done.code == 0, done.err
    ((folder, _),) = find_records(tmp_path / "results")
    assert json.loads((folder / "prompt.json").read_text())["caption"].startswith("bright red square")
    assert read_record(folder)["protocol"]["prompt_style"] == "written"
