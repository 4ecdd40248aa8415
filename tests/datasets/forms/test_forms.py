"""Data sets in the forms that people have them in."""

from __future__ import annotations

import pytest

from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import is_present, open_split
from tests.datasets.forms.writers import UNDIVIDED_ONLY, WRITERS

NAMES = ["cat", "dog"]


def content(split):
    """What a split holds, without names and ids: (size, boxes with names) of each picture."""
    found = []
    for image_id in split.image_ids:
        boxes = [box for box in split.annotations["annotations"] if box["image_id"] == image_id]
        names = dict(zip(split.category_ids, split.class_names, strict=True))
        rounded = sorted((names[box["category_id"]], *(round(value, 6) for value in box["bbox"])) for box in boxes)
        assert split.image(image_id).size == split.size(image_id)
        found.append((split.size(image_id), tuple(rounded)))
    return sorted(found)


@pytest.mark.parametrize("name", WRITERS)
def test_an_undivided_data_set_is_split_by_the_rule(tmp_path, pictures, name) -> None:
    WRITERS[name](tmp_path / "own", {"all": pictures}, NAMES)
    task = load_task(tmp_path / "own")
    assert task.class_names == NAMES
    assert list(task.splits) == ["train", "val", "test"]
    assert task.eval_split == "val"
    assert "no splits are given: 60 % train, 20 % val, 20 % test" in task.notes[0]
    splits = {split: open_split(task, split) for split in task.splits}
    assert {split: len(opened) for split, opened in splits.items()} == {"train": 6, "val": 2, "test": 2}
    assert all(is_present(task, split) for split in task.splits)
    assert "20 % of the pictures, in the order of SHA-256(seed 3, picture)" in splits["test"].notes[-1]

    WRITERS["roboflow"](tmp_path / "reference", {"all": pictures}, NAMES)
    reference = load_task(tmp_path / "reference")
    for split, opened in splits.items():
        assert content(opened) == content(open_split(reference, split)), split


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in UNDIVIDED_ONLY])
def test_splits_that_are_given_stay(tmp_path, pictures, name) -> None:
    data = {"train": pictures[:6], "val": pictures[6:8], "test": pictures[8:]}
    WRITERS[name](tmp_path / "own", data, NAMES)
    task = load_task(tmp_path / "own")
    assert task.notes == ()
    assert set(task.splits) == {"train", "val", "test"}
    for split, given in data.items():
        opened = open_split(task, split)
        assert not opened.notes
        wanted = [((w, h), tuple(sorted((NAMES[label], *box) for label, *box in boxes))) for *_, w, h, boxes in given]
        assert content(opened) == sorted(wanted)
        again = open_split(load_task(tmp_path / "own"), split)
        assert again.sha256 == opened.sha256
