from __future__ import annotations

import json
from pathlib import Path

import pytest

from glip_core.errors import InputError
from odinw_bench.datasets.fewshot import pick_shots
from odinw_bench.datasets.listing import list_table
from odinw_bench.datasets.registry import load_suite, load_task
from odinw_bench.datasets.sources import DATA_ROOT_VARIABLE, few_shot_subset, is_present, open_split

RACCOON = "Raccoon/Raccoon.v2-raw.coco"


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_ROOT_VARIABLE, raising=False)


@pytest.fixture
def data(shared: Path) -> Path:
    return shared / "odinw" / "data"


def test_real_splits_open(data: Path) -> None:
    task = load_task("aquarium")
    sizes = {}
    for name in ("train", "val", "test"):
        split = open_split(task, name, data)
        sizes[name] = len(split)
        assert split.class_names == task.class_names
        assert [box["id"] for box in split.annotations["annotations"][:3]] == [1, 2, 3]
    assert sizes == {"train": 84, "val": 20, "test": 16}
    image_id = split.image_ids[0]
    assert split.image(image_id).size == split.size(image_id)


def test_data_root_from_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_ROOT_VARIABLE, str(data))
    assert len(open_split(load_task("raccoon"), "test")) == 17


def test_task_names_replace_those_of_the_file(tmp_path: Path) -> None:
    write_rabbits(tmp_path, "CottontailRabbits/train/annotations_without_background.json", ids=[1])
    assert open_split(load_task("rabbits", "odinw35"), "train", tmp_path).class_names == ["rabbit"]
    assert open_split(load_task("rabbits", "odinw13"), "train", tmp_path).class_names == ["Cottontail-Rabbit"]


def write_rabbits(root: Path, file: str, *, ids: list[int]) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in ids],
        "categories": [{"id": 1, "name": "Cottontail-Rabbit"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 5, 5]} for i in ids],
    }
    path.write_text(json.dumps(content))


def test_missing_data_say_where_and_what(tmp_path: Path) -> None:
    task = load_task("raccoon")
    wanted = f"{RACCOON}/train/annotations_without_background.json"
    url = "https://huggingface.co/GLIPModel/GLIP/resolve/main/odinw_35/Raccoon.zip"
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError) as caught:
            open_split(task, "train", root)
        message = str(caught.value)
        assert wanted in message
        assert url in message
        assert "\n" not in message
        assert str(root) in message if root else DATA_ROOT_VARIABLE in message


def test_a_missing_image_folder_is_named(tmp_path: Path) -> None:
    write_rabbits(tmp_path, "pistols/export/train_annotations_without_background.json", ids=[1])
    assert len(open_split(load_task("pistols"), "train", tmp_path)) == 1  # one folder for all: it exists
    with pytest.raises(InputError, match="task 'pistols' has no split 'minival'; it has train, val, test"):
        open_split(load_task("pistols"), "minival", tmp_path)


def test_few_shot_by_the_rule(data: Path) -> None:
    task = load_task("aquarium")
    train = open_split(task, "train", data)
    subset, provenance = few_shot_subset(task, "train", train, 3, 30, data)
    assert provenance == "rule"
    assert subset.image_ids == pick_shots(train.annotations, 3, 30)
    everything, provenance = few_shot_subset(task, "train", train, "all", 3, data)
    assert (everything.image_ids, provenance) == (train.trainable_ids(), "rule")
    assert len(few_shot_subset(task, "train", train, 0, 3, data)[0]) == 0


def test_a_ready_made_subset_is_preferred(tmp_path: Path) -> None:
    folder = "CottontailRabbits/train"
    write_rabbits(tmp_path, f"{folder}/annotations_without_background.json", ids=[1, 2, 3, 4])
    write_rabbits(tmp_path, f"{folder}/fewshot_train_shot1_seed30.json", ids=[4])
    task = load_task("rabbits")
    train = open_split(task, "train", tmp_path)
    ready, provenance = few_shot_subset(task, "train", train, 1, 30, tmp_path)
    assert (ready.image_ids, provenance) == ([4], "official-file")
    assert ready.sha256 != train.sha256
    drawn, provenance = few_shot_subset(task, "train", train, 1, 3, tmp_path)
    assert (len(drawn), provenance) == (1, "rule")
    everything, provenance = few_shot_subset(task, "train", train, "all", 30, tmp_path)
    assert (len(everything), provenance) == (4, "rule")
    with pytest.raises(InputError, match="seed must be a whole number"):
        few_shot_subset(task, "train", train, 1, -1, tmp_path)


def test_the_miniature_needs_no_data_root() -> None:
    for task in load_suite("mini"):
        assert task.source.kind == "miniature"
        assert task.has_manual
        assert all(is_present(task, split) for split in task.splits)
    task = load_task("raccoon", "mini")
    split = open_split(task, "test")
    assert len(split) == task.splits["test"].count
    assert (split.class_names, split.category_ids) == (["raccoon"], [1])
    picture = split.image(split.image_ids[0])
    assert (picture.mode, picture.size) == ("RGB", split.size(split.image_ids[0]))
    assert split.sha256 == open_split(task, "test").sha256 != open_split(task, "val").sha256
    train = open_split(task, "train")
    subset, provenance = few_shot_subset(task, "train", train, 3, 3)
    assert (len(subset), provenance) == (3, "rule")
    with pytest.raises(InputError, match="no split 'minival'"):
        open_split(task, "minival")


def test_the_table_of_data(data: Path) -> None:
    rows = {row.name: row for row in list_table("odinw13", data)}
    assert len(rows) == 13
    assert (rows["raccoon"].present, rows["pistols"].present) == ("yes", "no")
    assert rows["aquarium"].images == {"train": 448, "val": 127, "test": 63}
    assert rows["aquarium"].licence == "CC BY 4.0"
    assert rows["aquarium"].source == (
        "hub GLIPModel/GLIP/odinw_35/Aquarium.zip, roboflow brad-dwyer/aquarium-combined/2"
    )
    assert rows["rabbits"].source == "hub GLIPModel/GLIP/odinw_35/CottontailRabbits.zip"
    assert {row.present for row in list_table("odinw13")} == {"no"}


def test_a_task_half_here(tmp_path: Path) -> None:
    write_rabbits(tmp_path, "CottontailRabbits/train/annotations_without_background.json", ids=[1])
    assert is_present(load_task("rabbits"), "train", tmp_path)
    assert not is_present(load_task("rabbits"), "val", tmp_path)
    rows = {row.name: row.present for row in list_table("odinw13", tmp_path)}
    assert rows["rabbits"] == "partly"
