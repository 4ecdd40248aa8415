"""Pictures that are tuned or selected on and tested on: found by content, refused where they can be corrected."""

from __future__ import annotations

import json
import random
import shutil

import pytest
import yaml
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.datasets.duplicates import leaked
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.report.load import load_runs
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.run import run
from odinw_bench.runs.spec import RunSpec
from tests.cli.conftest import write_dataset


@pytest.fixture
def pets_of_four(tmp_path):
    return write_dataset(tmp_path / "pets", images=4)


def leak(folder, to="train"):
    """A test picture under another name in the training split, or another; not a blank one."""
    with Image.open(folder / "test/1.jpg") as opened:
        picture = opened.convert("RGB")
    picture.paste((200, 30, 30), (10, 10, 50, 40))
    picture.save(folder / "test/1.jpg")
    shutil.copyfile(folder / "test/1.jpg", folder / to / "0.jpg")


def test_a_leak_is_found_by_content(pets_of_four):
    task = load_task(str(pets_of_four), "mini")
    splits = [open_split(task, name) for name in ("train", "test")]
    assert leaked(*splits) == []
    leak(pets_of_four)
    assert leaked(*splits) == [("0.jpg", "1.jpg")]


def test_blank_frames_are_no_leaks(cli, pets_of_four):
    """Any two frames of one colour are equal by chance, and nothing is learnt from them."""
    for split in ("train", "test"):
        Image.new("RGB", (120, 80), (20, 20, 20)).save(pets_of_four / split / "0.jpg")
    assert (pets_of_four / "train/0.jpg").read_bytes() == (pets_of_four / "test/0.jpg").read_bytes()
    task = load_task(str(pets_of_four), "mini")
    assert leaked(open_split(task, "train"), open_split(task, "test")) == []
    assert "two splits" not in cli("data", "check", "--dataset", pets_of_four).out
    leak(pets_of_four)
    assert leaked(open_split(task, "train"), open_split(task, "test")) == [("0.jpg", "1.jpg")]
    assert "same picture in two splits" in cli("data", "check", "--dataset", pets_of_four).out


def test_equal_files_that_are_no_pictures_are_leaks(pets_of_four):
    for split in ("train", "test"):
        (pets_of_four / split / "0.jpg").write_bytes(b"not a picture")
    task = load_task(str(pets_of_four), "mini")
    assert leaked(open_split(task, "train"), open_split(task, "test")) == [("0.jpg", "0.jpg")]


def test_tuning_on_a_leak_is_refused(cli, pets_of_four, tmp_path):
    leak(pets_of_four)
    run = ("run", "--dataset", pets_of_four, "--shots", "1", "--results", tmp_path / "results")
    line = cli(*run, "--mode", "linear").refused()
    assert "1 pictures of 'train' are in 'test' too, such as '0.jpg' (there '1.jpg')" in line
    answer = cli(*run, "--mode", "zero-shot", "--json")  # nothing is learnt there
    assert answer.code == 0
    assert json.loads(answer.out)[0]["record"]["status"] == "done"


def test_selecting_on_test_pictures_is_refused(cli, pets_of_four, tmp_path):
    leak(pets_of_four, to="valid")
    command = ("run", "--dataset", pets_of_four, "--shots", "1", "--results", tmp_path / "results", "--dry-run")
    line = cli(*command, "--mode", "linear").refused()
    assert "1 pictures of 'val' are in 'test' too, such as '0.jpg' (there '1.jpg')" in line
    assert "selecting the best epoch on them" in line
    assert cli(*command, "--mode", "zero-shot").code == 0  # nothing is selected there
    assert cli(*command, "--mode", "linear", "--eval-split", "val").code == 0  # asked for, and the record says so


@pytest.mark.parametrize(
    ("splits", "selected", "remedy"),
    [
        (("train", "val", "test"), "val", "take them out of one"),
        (("train", "test"), "test", "name another eval_split in its task file"),
    ],
)
def test_a_task_file_that_selects_on_its_test_split_is_refused(pets_of_four, tmp_path, splits, selected, remedy):
    leak(pets_of_four)
    (pets_of_four / "train/0.jpg").write_bytes(random.Random(3).randbytes(3000))
    places = {split: "train" if split == "train" else "test" for split in splits}
    content = {
        "splits": {
            split: {"annotations": f"{place}/_annotations.coco.json", "images": place}
            for split, place in places.items()
        },
        "eval_split": selected,
    }
    (pets_of_four / "task.yaml").write_text(yaml.safe_dump(content))
    spec = RunSpec(str(pets_of_four), suite="mini", mode="linear", shots=1)
    with pytest.raises(InputError, match=f"1 pictures of '{selected}' are in 'test' too.*{remedy}"):
        prepare(spec, tmp_path)


def test_an_official_task_that_selects_on_its_test_split_says_so(tmp_path):
    data = write_dataset(tmp_path / "made", ("aeroplane", "bicycle"))
    leak(data, to="valid")
    for split in ("train", "valid"):
        file = data / split / "_annotations.coco.json"
        content = json.loads(file.read_text())
        content["categories"] = content["categories"][1:]
        file.with_name("annotations_without_background.json").write_text(json.dumps(content))
    data.rename(tmp_path / "PascalVOC")
    spec = RunSpec("pascalvoc", suite="odinw13", mode="linear", shots=1)
    assert prepare(spec, tmp_path, data_root=tmp_path).selection_leaks == 1  # the other picture is blank
    asked = RunSpec("pascalvoc", suite="odinw13", mode="linear", shots=1, eval_split="val")
    assert prepare(asked, tmp_path, data_root=tmp_path).selection_leaks is None


def test_nothing_is_compared_where_pictures_are_drawn_or_selection_is_on_the_training_split(pets_of_four, tmp_path):
    assert prepare(RunSpec("packages", mode="linear", shots=1), tmp_path).selection_leaks is None
    shutil.rmtree(pets_of_four / "valid")
    spec = RunSpec(str(pets_of_four), suite="mini", mode="linear", shots=1)
    assert prepare(spec, tmp_path).selection_leaks is None


def test_the_official_data_are_taken_as_they_are_and_the_record_says_so(shared, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(shared / "odinw/data/Raccoon", root / "Raccoon")
    spec = RunSpec("raccoon", suite="odinw13", mode="linear", shots=1, protocol="quick", overrides={"epochs": 1})
    prepared = prepare(spec, tmp_path, data_root=root)
    assert (prepared.leaks, prepared.selection_leaks) == (0, 0)
    place = root / "Raccoon/Raccoon.v2-raw.coco"
    first, second = sorted((place / "test").glob("*.jpg"))[:2]
    shutil.copyfile(first, min((place / "train").glob("*.jpg")))
    for test, copy in zip((first, second), sorted((place / "valid").glob("*.jpg")), strict=False):
        shutil.copyfile(test, copy)
    prepared = prepare(spec, tmp_path, data_root=root)
    assert (prepared.leaks, prepared.selection_leaks) == (1, 2)
    record = run(spec, tmp_path / "results", data_root=root)
    assert (record["data"]["leaks"], record["data"]["selection_leaks"]) == (1, 2)
    assert record["data"]["leaks_compared"] == "bytes of files, blank frames left out"
    notes = "\n".join(load_runs(tmp_path / "results").notes)
    assert "1 pictures of the training split of odinw13/raccoon are in its test split too" in notes
    assert "2 pictures of the split that selects the best epoch of odinw13/raccoon are in its test split too" in notes
