"""The labelled images in folds: each picture once, none of the test split, and never those of other data."""

from __future__ import annotations

import random
import shutil

import pytest
from PIL import Image

from glip_core.errors import InputError
from odinw_bench import load_task
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.datasets.store import SplitStore
from tests.cli.conftest import write_dataset


def photos(folder, images=4, kind=""):
    """A data set of pictures that all differ, and of which none is blank."""
    for file in write_dataset(folder, images=images).glob("*/*.jpg"):
        draw(file, f"{kind} {file.parent.name} {file.name}")
    return folder


def draw(file, seed):
    picture = Image.frombytes("RGB", (12, 8), random.Random(seed).randbytes(12 * 8 * 3))
    picture.resize((120, 80)).save(file)


def labelled(data, results):
    return Labelled(load_task(data), AdviceSettings(str(data), results=results))


def check(found):
    """Every fold can be tuned and tested, and the labelled images are all tested on once, if few."""
    for fold in found.folds:
        store, task = SplitStore(), load_task(fold.file)
        assert store.leaks(task, "test") == 0
        assert not store.selection_leaks(task, "test")
        assert not {*fold.tested} & {*fold.trained, *fold.selected}


def test_copies_of_a_training_picture_stay_together(tmp_path):
    data = photos(tmp_path / "pets")
    shutil.copyfile(data / "train/0.jpg", data / "train/3.jpg")
    found = labelled(data, tmp_path / "results")
    check(found)
    assert sorted(number for fold in found.folds for number in fold.tested) == sorted(found.names)
    assert not found.notes


def test_copies_of_a_validation_picture_stay_together(tmp_path):
    data = photos(tmp_path / "pets", images=24)
    for number in range(4):
        shutil.copyfile(data / f"valid/{number}.jpg", data / f"valid/{20 + number}.jpg")
    found = labelled(data, tmp_path / "results")
    check(found)
    assert [len(fold.tested) for fold in found.folds] == [12, 12]


def test_a_picture_in_training_and_validation_counts_once(tmp_path):
    data = photos(tmp_path / "pets")
    shutil.copyfile(data / "train/2.jpg", data / "valid/1.jpg")
    found = labelled(data, tmp_path / "results")
    check(found)
    assert sorted(found.names) == list(range(1, 8))
    assert found.notes == [
        "1 validation images are left out, such as '1.jpg': their pictures are in 'train' too, byte for byte"
    ]


def test_labelled_pictures_of_the_test_split_are_left_out(tmp_path):
    data = photos(tmp_path / "pets")
    shutil.copyfile(data / "test/0.jpg", data / "train/1.jpg")
    for number in range(4):
        shutil.copyfile(data / f"test/{number}.jpg", data / f"valid/{number}.jpg")
    found = labelled(data, tmp_path / "results")
    check(found)
    assert sorted(found.names.values()) == ["0.jpg", "2.jpg", "3.jpg"]
    assert len(found.notes) == 2
    assert "1 labelled images are left out, such as '1.jpg': their pictures are in 'test' too" in found.notes[0]


def test_copies_of_one_picture_are_too_few(tmp_path):
    data = photos(tmp_path / "pets")
    for number in range(1, 4):
        shutil.copyfile(data / "train/0.jpg", data / f"train/{number}.jpg")
    with pytest.raises(InputError, match="1 different training images"):
        labelled(data, tmp_path / "results")


def test_other_pictures_with_the_same_annotations_are_other_folds(tmp_path):
    colour, thermal = (photos(tmp_path / kind / "pets", kind=kind) for kind in ("colour", "thermal"))
    first, other = (labelled(data, tmp_path / "results") for data in (colour, thermal))
    assert first.folder != other.folder
    assert labelled(colour, tmp_path / "results").folder == first.folder  # and what was done there is resumed
    draw(colour / "train/0.jpg", "repaired")
    assert labelled(colour, tmp_path / "results").folder not in (first.folder, other.folder)


def test_the_pictures_of_folds_are_those_of_the_data(tmp_path):
    data = photos(tmp_path / "pets")
    before = (data / "train/0.jpg").read_bytes()
    place = labelled(data, tmp_path / "results").pictures / "000001.jpg"
    draw(data / "train/0.jpg", "changed in place, and so in what links to it")
    assert place.read_bytes() != before
    (data / "train/0.jpg").unlink()
    (data / "train/0.jpg").write_bytes(before)
    assert labelled(data, tmp_path / "results").pictures == place.parent
    assert place.read_bytes() == before


def test_the_folds_of_drawn_tasks_stay_where_they_are(tmp_path):
    found = Labelled(load_task("packages", "mini"), AdviceSettings("packages", shots=1, results=tmp_path))
    assert found.folder.name == "mini-packages-5f95753d"  # as by version 0.2
