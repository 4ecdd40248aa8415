"""Pictures in both the training and the test split: found by content, refused where they can be corrected."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from odinw_bench.datasets.duplicates import leaked
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from tests.cli.conftest import write_dataset


@pytest.fixture
def pets_of_four(tmp_path):
    return write_dataset(tmp_path / "pets", images=4)


def leak(folder):
    """A test picture under another name in the training split; not a blank one."""
    with Image.open(folder / "test/1.jpg") as opened:
        picture = opened.convert("RGB")
    picture.paste((200, 30, 30), (10, 10, 50, 40))
    picture.save(folder / "test/1.jpg")
    shutil.copyfile(folder / "test/1.jpg", folder / "train/0.jpg")


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


def test_the_official_data_are_taken_as_they_are_and_the_record_says_so(shared, tmp_path):
    from odinw_bench.report.load import load_runs
    from odinw_bench.runs.prepare import prepare
    from odinw_bench.runs.run import run
    from odinw_bench.runs.spec import RunSpec

    root = tmp_path / "data"
    shutil.copytree(shared / "odinw/data/Raccoon", root / "Raccoon")
    spec = RunSpec("raccoon", suite="odinw13", mode="linear", shots=1, protocol="quick", overrides={"epochs": 1})
    assert prepare(spec, tmp_path, data_root=root).leaks == 0
    place = root / "Raccoon/Raccoon.v2-raw.coco"
    (test, *_), (train, *_) = (sorted((place / name).glob("*.jpg")) for name in ("test", "train"))
    shutil.copyfile(test, train)
    prepared = prepare(spec, tmp_path, data_root=root)
    assert prepared.leaks == 1
    record = run(spec, tmp_path / "results", data_root=root)
    assert record["data"]["leaks"] == 1
    assert record["data"]["leaks_compared"] == "bytes of files, blank frames left out"
    notes = load_runs(tmp_path / "results").notes
    assert any("raccoon" in note and "test split" in note for note in notes)
