"""``odinw-bench data check`` on data sets that were spoilt on purpose."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odinw_bench.datasets.checks import ERRORS, check_task
from odinw_bench.datasets.download.manifest import write_manifest
from odinw_bench.datasets.registry import load_task
from tests.cli.conftest import write_dataset

RACCOON = "Raccoon/Raccoon.v2-raw.coco"
SPLITS = (("train", "train"), ("val", "valid"), ("test", "test"))


@pytest.fixture
def pets(tmp_path):
    return write_dataset(tmp_path / "pets", images=3)


def change(folder, split, how):
    """Change the annotations of a split."""
    path = folder / split / "_annotations.coco.json"
    content = json.loads(path.read_text())
    how(content)
    path.write_text(json.dumps(content))


def found(answer, task="pets"):
    """kind -> (split, count, examples)."""
    (checked,) = [one for one in json.loads(answer.out) if one["task"] == task]
    return {entry["kind"]: (entry["split"], entry["count"], entry["examples"]) for entry in checked["findings"]}


def make_distinct(folder):
    """Pictures that differ."""

    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        Image.new("RGB", (120, 80), (9 * number, 50, 90)).save(path, quality=95)


def test_sound_data(cli, pets):
    make_distinct(pets)
    answer = cli("data", "check", "--dataset", pets, "--shots", "1,all", "--json")
    assert answer.code == 0, answer.err
    (checked,) = json.loads(answer.out)
    assert checked["sound"]
    assert {one["kind"] for one in checked["findings"]} == {"annotation with id 0"}  # the export counts from 0
    train = checked["counts"]["train"]
    assert (train["images"], train["boxes"], train["empty"]) == (3, 3, 0)
    assert train["classes"] == {"cat": 2, "dog": 1}  # the background category is none
    one, everything = checked["subsets"]
    assert (one["shots"], one["seed"], one["made"]) == (1, 3, "rule")
    assert all(images >= 1 for images, _ in one["classes"].values())
    assert everything["classes"] == {"cat": [2, 2], "dog": [1, 1]}
    hashes = checked["pictures_sha256"]
    assert set(hashes) == set(checked["counts"]) and all(len(value) == 64 for value in hashes.values())
    table = cli("data", "check", pets)
    assert hashes["test"][:6] in table.out
    assert "cat 2, dog 1" in table.out and "pets: sound" in table.out


def test_every_kind_is_found(cli, pets):
    make_distinct(pets)
    picture = Image.new("RGB", (120, 80), (90, 90, 90))
    picture.paste((200, 30, 30), (10, 10, 50, 40))  # one of one colour is not reported
    picture.save(pets / "train/0.jpg")
    shutil.copy(pets / "train/0.jpg", pets / "train/1.jpg")
    shutil.copy(pets / "train/0.jpg", pets / "test/2.jpg")
    (pets / "valid/0.jpg").unlink()
    (pets / "valid/1.jpg").write_bytes(b"not a picture")

    def spoil(content):
        content["images"][0]["width"] = 121
        content["annotations"][0]["bbox"] = [100, 70, 40, 30]
        content["annotations"][1]["bbox"] = [10, 10, 0, 5]
        content["annotations"][1]["id"] = content["annotations"][0]["id"]
        content["annotations"].append({"id": 77, "image_id": 99, "category_id": 1, "bbox": [1, 1, 5, 5]})

    change(pets, "test", spoil)
    answer = cli("data", "check", "--dataset", pets, "--json")
    assert answer.code == 1
    kinds = found(answer)
    assert kinds["same picture twice in a split"] == ("train", 1, ["1.jpg is 0.jpg"])
    assert kinds["same picture in two splits"] == ("test", 1, ["2.jpg is 0.jpg of train"])
    assert kinds["picture missing"] == ("valid" if "valid" in kinds else "val", 1, ["0.jpg"])
    assert "1.jpg" in kinds["picture unreadable"][2][0]
    assert kinds["wrong image size"] == ("test", 1, ["0.jpg: 120x80, not 121x80 as stated"])
    assert kinds["box outside the image"] == ("test", 1, ["annotation 0: [100, 70, 40, 30] in 121x80"])
    assert kinds["box without area"] == ("test", 1, ["annotation 0: [10, 10, 0, 5]"])
    assert kinds["duplicate annotation id"] == ("test", 1, ["0"])
    assert kinds["annotation of an image that is not listed"] == ("test", 1, ["annotation 77: image 99"])
    table = cli("data", "check", "--dataset", pets)
    assert table.code == 1
    assert "pets: has errors" in table.out
    quick = cli("data", "check", "--dataset", pets, "--no-pictures", "--json")
    assert quick.code == 0  # what is left is odd, but harms nothing
    assert "picture missing" not in found(quick)


def test_two_categories_of_one_name_are_counted_apart(cli, pets):
    make_distinct(pets)

    def name_alike(content):
        content["categories"][2]["name"] = "cat"

    for split in ("train", "valid", "test"):
        change(pets, split, name_alike)
    answer = cli("data", "check", "--dataset", pets, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)[0]["counts"]["train"]["classes"] == {"cat (id 1)": 2, "cat (id 2)": 1}
    says = "'cat' (ids 1, 2): a prompt of the names says it 2 times"
    assert found(answer)["two categories of one name"] == ("test", 1, [says])


def test_a_class_without_boxes_and_a_split_without_any_are_notes(cli, pets):
    make_distinct(pets)

    def without_dogs(content):
        content["annotations"] = [box for box in content["annotations"] if box["category_id"] != 2]

    change(pets, "valid", without_dogs)
    answer = cli("data", "check", "--dataset", pets, "--json")
    assert answer.code == 0
    assert found(answer)["class without boxes"] == ("val", 1, ["dog"])
    change(pets, "test", lambda content: content.update(annotations=[]))
    answer = cli("data", "check", "--dataset", pets, "--json")
    assert answer.code == 0  # it can be run, and its AP is null
    assert found(answer)["split without boxes"] == ("test", 1, ["3 images, and nothing to find in them"])


def test_annotations_that_no_run_could_use(cli, pets):
    splits = {name: {"annotations": f"{place}/_annotations.coco.json", "images": place} for name, place in SPLITS}
    classes = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    task = {"name": "pets", "title": "Pets", "classes": classes, "splits": splits, "eval_split": "val"}
    (pets / "task.yaml").write_text(json.dumps(task))  # else the classes would be read from the annotations
    change(pets, "test", lambda content: content["annotations"][0].update(bbox=[1, 2, -3, 4]))
    change(pets, "valid", lambda content: content["images"].append(dict(content["images"][0])))
    kinds = found(cli("data", "check", "--dataset", pets, "--json"))
    assert "negative width" in kinds["annotations unusable"][2][0]
    assert kinds["duplicate image id"][1:] == (1, ["0"])


def test_names_that_lead_elsewhere_are_not_followed(cli, pets, tmp_path):
    (tmp_path / "secret.jpg").write_bytes((pets / "train/0.jpg").read_bytes())
    change(pets, "train", lambda content: content["images"][0].update(file_name="../../secret.jpg"))
    answer = cli("data", "check", "--dataset", pets, "--no-pictures")
    assert "image folder" in answer.refused()  # the classes are those of the training split: it must be readable


def test_absent_data_name_the_remedy(cli, tmp_path, shared):
    answer = cli("data", "check", "--dataset", "raccoon", "--data-root", tmp_path)
    assert f"data download --suite odinw13 --dataset raccoon --data-root {tmp_path}' gets it" in answer.refused()
    for split in ("train", "valid"):
        shutil.copytree(shared / "odinw/data/Raccoon/Raccoon.v2-raw.coco" / split, tmp_path / RACCOON / split)
    answer = cli("data", "check", "--dataset", "raccoon", "--data-root", tmp_path, "--json", "--no-pictures")
    assert answer.code == 1
    assert found(answer, "raccoon")["annotation file missing"][:2] == ("test", 1)


def test_the_real_data(cli, shared):
    root = shared / "odinw" / "data"
    answer = cli("data", "check", "--dataset", "raccoon,thermal", "--data-root", root, "--shots", "5", "--json")
    assert answer.code == 0, answer.out
    raccoon, thermal = json.loads(answer.out)
    assert raccoon["findings"] == []
    assert [one["kind"] for one in thermal["findings"]] == ["annotation with id 0"] * 3
    assert thermal["counts"]["train"]["empty"] == 11
    assert raccoon["subsets"][0]["images"] == 5


def test_the_drawn_suite(cli):
    answer = cli("data", "check", "--suite", "mini", "--dataset", "packages", "--shots", "1", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)[0]["counts"]["test"]["images"] == 30


def write_coco(folder, pictures):
    """COCO with one box a picture."""
    folder.mkdir(parents=True)
    images, boxes = [], []
    for number, (name, content) in enumerate(pictures.items()):
        (folder / name).write_bytes(content)
        images.append({"id": number, "file_name": name, "width": 64, "height": 48})
        boxes.append({"id": number, "image_id": number, "category_id": 0, "bbox": [4, 5, 30, 20], "area": 600})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "crab"}]}
    for name in ("_annotations.coco.json", "annotations_without_background.json"):
        (folder / name).write_text(json.dumps(content))


def noise(seed):
    stream = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(values).resize((64, 48), Image.Resampling.NEAREST).save(stream, "JPEG")
    return stream.getvalue()


def test_given_shots_are_part_of_train(tmp_path):
    train = {f"{i}.jpg": noise(i) for i in range(4)}
    write_coco(tmp_path / "rf20-vl/actions/train", train)
    write_coco(tmp_path / "rf20-vl/actions/valid", {"v.jpg": noise(10)})
    write_coco(tmp_path / "rf20-vl/actions/test", {"t.jpg": noise(11)})
    given = tmp_path / "rf20-vl-fsod/actions/train"
    task = load_task("actions", "rf20vl")
    assert check_task(task, tmp_path).sound  # the given ones are not needed by all runs
    write_coco(given, {"0.jpg": train["0.jpg"]})
    checked = check_task(task, tmp_path)
    assert checked.sound, checked.findings
    shutil.rmtree(given)
    write_coco(given, {"0.jpg": train["0.jpg"], "leak.jpg": noise(11)})
    leaks = [one for one in check_task(task, tmp_path).findings if one.kind in ERRORS]
    assert [(one.split, one.kind, one.examples) for one in leaks] == [
        ("given-10", "same picture in two splits", ("leak.jpg is t.jpg of test",))
    ]


def test_a_subset_that_the_official_zip_lacks_is_no_error(tmp_path):
    task = load_task("brackish", "odinw35")
    for number, place in enumerate(("train", "valid", "mini_val", "test")):
        write_coco(tmp_path / "brackishUnderwater/960x540" / place, {f"{number}.jpg": noise(number)})
    kinds = {one.kind: one.split for one in check_task(task, tmp_path).findings}
    assert kinds["annotation file of a subset missing"] == "minival_3shot_3seed"
    assert "annotation file missing" not in kinds
    write_coco(tmp_path / "original/brackishUnderwater/960x540/mini_val", {"2.jpg": noise(2)})
    paths = task.splits["minival_3shot_3seed"]
    (tmp_path / paths.images / "annotations_without_background.json").rename(tmp_path / paths.annotations)
    assert "same picture in two splits" not in {one.kind for one in check_task(task, tmp_path).findings}


def test_public_files_are_compared_with_their_downloads(tmp_path):
    task = load_task("coco", "coco")
    pictures = tmp_path / "coco/val2017"
    write_coco(pictures, {"0.jpg": noise(0)})
    (tmp_path / "coco/annotations").mkdir()
    (pictures / "_annotations.coco.json").rename(tmp_path / task.splits["val"].annotations)
    for unit, name in (("coco-annotations", task.splits["val"].annotations), ("coco-val2017", "coco/val2017/0.jpg")):
        write_manifest(tmp_path, f"public/{unit}", {}, [Path(name)])
    assert "not as downloaded" not in {one.kind for one in check_task(task, tmp_path).findings}
    (pictures / "0.jpg").write_bytes(noise(1))
    with (tmp_path / task.splits["val"].annotations).open("a") as file:
        file.write("\n")
    (found,) = [one for one in check_task(task, tmp_path).findings if one.kind == "not as downloaded"]
    assert found.count == 2, found


def test_every_download_of_a_task_is_compared(tmp_path):
    for place in ("rf20-vl/actions", "rf20-vl-fsod/actions"):
        write_coco(tmp_path / place / "train", {"0.jpg": noise(0)})
        write_manifest(tmp_path, place, {}, [Path(place) / "train/0.jpg"])
    (tmp_path / "rf20-vl-fsod/actions/train/0.jpg").write_bytes(noise(1))
    findings = check_task(load_task("actions", "rf20vl"), tmp_path).findings
    assert [one.count for one in findings if one.kind == "not as downloaded"] == [1]
