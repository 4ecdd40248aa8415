from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.datasets.folder import find_splits
from odinw_bench.datasets.registry import Task, list_tasks, load_suite, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.taskfile import read_task
from odinw_bench.utils.paths import tasks_folder

SHORT_NAMES = [
    *("aerial", "aquarium", "egohands", "mushrooms", "packages", "pascalvoc", "pistols"),
    *("pothole", "rabbits", "raccoon", "shellfish", "thermal", "vehicles"),
]


def registry(shared: Path, suite: str) -> dict[str, dict[str, Any]]:
    entries = json.loads((shared / "odinw" / "datasets.json").read_text())[f"odinw_{suite.removeprefix('odinw')}"]
    return {entry["config"]: entry for entry in entries}


def below_root(path: str) -> str:
    return path.removeprefix("odinw/").rstrip("/")


@pytest.mark.parametrize("suite", ["odinw13", "odinw35"])
def test_every_task_file_says_what_the_official_one_says(shared: Path, suite: str) -> None:
    official = registry(shared, suite)
    tasks = {task.config: task for task in load_suite(suite)}
    assert tasks.keys() == official.keys()
    for config, entry in official.items():
        task = tasks[config]
        assert task.suite == suite
        assert task.class_names == entry["classes"], config
        assert [one.category_id for one in task.classes] == entry["class_ids"], config
        assert [task.eval_split] == entry["official_eval_splits"], config
        paths = {name: (split.annotations, split.images) for name, split in task.splits.items()}
        assert paths == {
            name: (below_root(split["annotations"]), below_root(split["images"]))
            for name, split in entry["splits"].items()
        }, config
        ready = {}
        for key, path in entry["fewshot_splits"].items():
            split, shots, seed = key.rsplit("_", 2)
            ready[below_root(path)] = task.fewshot[split].replace("{shots}", shots).replace("{seed}", seed)
        assert list(ready) == list(ready.values()), config
        assert {key.split("_")[0] for key in entry["fewshot_splits"]} == set(task.fewshot)
        assert task.source.hub is not None
        assert task.source.hub.repo == entry["hub"]["repo"]
        assert task.source.hub.file == f"{entry['hub']['folder']}/{entry['zip']}"


def test_the_thirteen_have_the_published_facts(shared: Path) -> None:
    facts = json.loads((shared / "odinw" / "datasets_facts.json").read_text())
    for task in load_suite("odinw13"):
        assert task.config is not None
        entry = facts["datasets"][task.config]
        assert task.name == entry["short"]
        assert task.title == entry["paper_name"]
        for split in ("train", "val", "test"):
            if entry["images"][split] is not None:
                assert task.splits[split].count == entry["images"][split], (task.name, split)
        export = task.source.roboflow
        given = (export.workspace, export.project, export.version) if export else (None, None, None)
        assert given == tuple(entry["roboflow"][key] for key in ("workspace", "project", "version"))
        assert task.source.page == entry["public_page"]
        assert (task.licence is None) == (entry["licence"] is None), task.name
        assert task.source.hub is not None
        assert task.source.hub.url == facts["hub"]["url"].replace("{zip}", entry["hub_zip"])


def test_hand_written_prompts_are_those_of_the_paper(shared: Path) -> None:
    def plain(text: str) -> str:
        return " ".join(text.replace(" ,", ",").split())

    def prompt(task: Task) -> str:
        return ". ".join(f"{part['prefix']}{part['name']}{part['suffix']}" for part in task.prompt_parts())

    official = registry(shared, "odinw35")
    with_prompts = [task for task in load_suite("odinw35") if task.has_manual]
    assert {task.name for task in with_prompts} == {"aquarium", "egohands", "packages", "pothole"}
    for task in with_prompts:
        assert task.config is not None
        for part, theirs in zip(task.prompt_parts(), official[task.config]["caption_prompt"], strict=True):
            assert {key: plain(text) for key, text in part.items()} == {
                key: plain(text) for key, text in theirs.items()
            }
    assert prompt(load_task("rabbits")) == "rabbit"
    assert prompt(load_task("mushrooms")) == "flat mushroom. yellow mushroom"
    assert load_task("rabbits").class_names == ["Cottontail-Rabbit"]
    assert prompt(load_task("pothole")) == "there are some holes on the road"
    assert prompt(load_task("vehicles")) == "Ambulance. Bus. Car. Motorcycle. Truck"


@pytest.mark.parametrize("suite", ["mini", "odinw13", "odinw35"])
def test_no_two_tasks_of_a_suite_share_a_name(suite: str) -> None:
    names = [name for task in load_suite(suite) for name in {known.casefold() for known in task.names}]
    assert len(names) == len(set(names))


def test_suites() -> None:
    assert list_tasks("odinw13") == list_tasks("mini") == SHORT_NAMES
    assert len(list_tasks("odinw35")) == 35
    assert load_task("rabbits", "odinw35").class_names == ["rabbit"]


def test_the_miniature_mirrors_the_real_tasks() -> None:
    for task in load_suite("mini"):
        assert task.class_names == load_task(task.name).class_names
        assert load_task(load_task(task.name).config or "", "mini") == task


def test_every_task_file_belongs_to_a_suite() -> None:
    for path in tasks_folder().glob("**/*.yaml"):
        if path.parent.name != "mini":
            suites = yaml.safe_load(path.read_text())["suites"]
            assert any(read_task(path, suite=suite) for suite in suites), path


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("raccoon", "raccoon"),
        ("RACCOON", "raccoon"),
        ("Raccoon_Raccoon.v2-raw.coco", "raccoon"),
        ("thermalDogsAndPeople", "thermal"),
        ("AerialDrone", "aerial"),
        ("aerialmaritimedrone", "aerial"),
        ("CottontailRabbits", "rabbits"),
    ],
)
def test_names_a_task_answers_to(name: str, short: str) -> None:
    assert load_task(name).name == short


@pytest.mark.parametrize(
    ("name", "suite", "message"),
    [
        ("racoon", "odinw13", "unknown task 'racoon' in suite 'odinw13'; did you mean 'raccoon'?.*thermal, vehicles"),
        ("zzzz", "odinw13", r"unknown task 'zzzz' in suite 'odinw13' \(known: aerial"),
        ("bccd", "odinw13", "task 'bccd' is not in suite 'odinw13' but in 'odinw35'"),
        ("raccoon", "odinw12", "unknown suite 'odinw12'; did you mean 'odinw13'"),
        ("./nowhere", "odinw13", "folder '.*nowhere' not found"),
        ("raccoon", "no/where", "folder 'no/where' not found"),
    ],
)
def test_unknown_names(name: str, suite: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_task(name, suite)
    assert "\n" not in str(caught.value)


def minimal() -> dict[str, Any]:
    return {
        "name": "zoo",
        "title": "Zoo",
        "suites": ["odinw13"],
        "classes": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog", "manual": {"suffix": ", barking"}}],
        "splits": {"train": {"annotations": "a.json", "images": "a", "count": 3}},
        "eval_split": "train",
    }


def write(folder: Path, data: Any) -> Path:
    path = folder / "zoo.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def test_a_minimal_task_file(tmp_path: Path) -> None:
    path = write(tmp_path, minimal())
    task = read_task(path, suite="odinw13")
    assert task is not None
    assert task.classes[1].category_id == 4
    assert task.prompt_parts() == [
        {"prefix": "", "name": "cat", "suffix": ""},
        {"prefix": "", "name": "dog", "suffix": ", barking"},
    ]
    assert task.splits["train"].count == 3
    assert task.licence is task.config is None
    assert read_task(path, suite="odinw35") is None


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (put("lisence", value="MIT"), "unknown key 'lisence'; did you mean 'licence'?"),
        (put("splits", "train", "image", value="a"), r"splits\.train: unknown key 'image'; did you mean 'images'?"),
        (put("classes", 1, "manual", "sufix", value="a"), r"classes\[1\]\.manual: unknown key 'sufix'.*'suffix'"),
        (put("source", value={"zip": "a"}), "source: unknown key 'zip'"),
        (lambda data: data.pop("title"), "'title' is missing"),
        (put("name", value="My Zoo"), "name must be lower-case letters, digits and hyphens, not 'My Zoo'"),
        (put("title", value=7), "title must be a text, not 7; put it in quotes"),
        (put("suites", value=["odinw14"]), "unknown suite 'odinw14'"),
        (put("classes", value=[]), "classes must be a list of classes"),
        (put("classes", 0, "name", value=0), r"classes\[0\]\.name must be a text, not 0; put it in quotes"),
        (put("classes", 0, "id", value="1"), r"classes\[0\]\.id must be a whole number"),
        (put("classes", 0, "id", value=5), r"in the order of their ids, each once, not \[5, 4\]"),
        (put("splits", "train", "annotations", value="/a.json"), "must be a path below the data root"),
        (put("splits", "train", "images", value="../a"), "must be a path below the data root"),
        (put("splits", "train", "count", value=-1), r"splits\.train\.count must be a whole number"),
        (put("splits", value=[]), "splits must be a mapping"),
        (put("eval_split", value="val"), "eval_split 'val' is not one of the splits: train"),
        (put("fewshot", value={"train": "shot.json"}), r"must hold \{shots\} and \{seed\}"),
        (put("fewshot", value={"val": "{shots}{seed}"}), "fewshot: 'val' is not one of the splits: train"),
    ],
)
def test_unusable_task_files_are_named(tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str) -> None:
    data = minimal()
    damage(data)
    with pytest.raises(InputError, match=message) as caught:
        read_task(write(tmp_path, data), suite="odinw13")
    assert "zoo.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- 1", "!!python/object/apply:os.getcwd []"])
def test_files_that_are_no_task_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"zoo\.yaml' (is not YAML|must be a mapping)") as caught:
        read_task(write(tmp_path, text))
    assert "\n" not in str(caught.value)


# --- folders of the user's own


def coco(*, categories: list[tuple[int, str]], boxes: list[int]) -> dict[str, Any]:
    return {
        "images": [{"id": 0, "file_name": "0.png", "width": 40, "height": 30}],
        "categories": [{"id": i, "name": name} for i, name in categories],
        "annotations": [
            {"id": i, "image_id": 0, "category_id": category, "bbox": [1, 2, 8, 9]} for i, category in enumerate(boxes)
        ],
    }


EXPORT = [(0, "animals"), (1, "cat"), (2, "dog")]


def fill(
    folder: Path, file: str, *, categories: list[tuple[int, str]] = EXPORT, boxes: tuple[int, ...] = (1, 2)
) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco(categories=categories, boxes=list(boxes))))
    Image.new("RGB", (40, 30)).save(path.parent / "0.png")


@pytest.mark.parametrize(
    "files",
    [
        {f"{split}/_annotations.coco.json" for split in ("train", "valid", "test")},
        {f"{split}/annotations_without_background.json" for split in ("train", "val", "test")},
        {f"{split}_annotations_without_background.json" for split in ("train", "val", "test")},
    ],
)
def test_layouts(tmp_path: Path, files: set[str]) -> None:
    folder = tmp_path / "My Pets.v2"
    for file in files:
        fill(folder, file)
    task = load_task(folder)
    assert (task.name, task.title, task.suite, task.eval_split) == ("my-pets-v2", "My Pets.v2", "custom", "val")
    assert {paths.annotations for paths in task.splits.values()} == files
    assert list(task.splits) == ["train", "val", "test"]
    assert task.class_names == ["cat", "dog"]
    for name in task.splits:
        split = open_split(task, name)
        assert split.category_ids == [1, 2]
        assert split.targets(0)[1].tolist() == [0, 1]
        assert split.image(0).size == (40, 30)
    assert load_task(str(folder)) == task


def test_a_class_0_that_only_another_split_annotates_is_no_background(tmp_path: Path) -> None:
    fill(tmp_path, "train/_annotations.coco.json")
    fill(tmp_path, "test/_annotations.coco.json", boxes=(0, 1))
    task = load_task(tmp_path)
    assert task.class_names == ["animals", "cat", "dog"]
    assert open_split(task, "train").category_ids == open_split(task, "test").category_ids == [0, 1, 2]
    assert task.eval_split == "train"  # never the test split


def test_splits_must_agree_with_the_training_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/_annotations.coco.json")
    fill(tmp_path, "test/_annotations.coco.json", categories=[(1, "dog"), (2, "cat")])
    fill(tmp_path, "valid/_annotations.coco.json", categories=[(7, "emu")], boxes=(7,))
    task = load_task(tmp_path)
    with pytest.raises(InputError, match=r"test/_annotations.*another version of the data set"):
        open_split(task, "test")
    with pytest.raises(InputError, match=r"valid/_annotations.*category 7 \('emu'\) has boxes but is no class"):
        open_split(task, "val")


def test_a_folder_of_folders_is_a_suite(tmp_path: Path) -> None:
    suite = tmp_path / "mini"
    for name in ("b", "a", "deep/er/c", "deep/er/a"):
        fill(suite / name, "train/_annotations.coco.json")
    tasks = load_suite(suite)
    assert [task.name for task in tasks] == ["a", "b", "c", "deep-er-a"]
    assert {task.suite for task in tasks} == {"mini-folder"}
    assert load_task("c", suite).root == (suite / "deep/er/c").resolve()
    with pytest.raises(InputError, match="unknown task 'd' in suite"):
        load_task("d", suite)
    fill(suite / "deep-er-a", "train/_annotations.coco.json")
    assert len({task.name for task in load_suite(suite)}) == 5  # a hash distinguishes it from deep/er/a


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a data set: it is empty; understood are COCO \(train/"):
        load_task(tmp_path)
    with pytest.raises(InputError, match="holds no data set"):
        load_suite(tmp_path)
    assert find_splits(tmp_path) == {}


def test_a_task_file_beside_the_data_decides(tmp_path: Path) -> None:
    fill(tmp_path, "train/_annotations.coco.json")
    text = {
        "name": "pets",
        "title": "Pets",
        "classes": [{"id": 1, "name": "cat", "manual": {"prefix": "a purring "}}, {"id": 2, "name": "dog"}],
        "splits": {"train": {"annotations": "train/_annotations.coco.json", "images": "train"}},
        "eval_split": "train",
    }
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(text))
    task = load_task(tmp_path)
    assert (task.name, task.suite, task.source.kind) == ("pets", "custom", "folder")
    assert task.prompt_parts()[0]["prefix"] == "a purring "
    assert len(open_split(task, "train")) == 1


def test_real_data_as_a_folder(shared: Path, tmp_path: Path) -> None:
    real = shared / "odinw" / "data"
    task = load_task(real / "thermalDogsAndPeople")
    assert task.class_names == ["dog", "person"]
    copy = tmp_path / "raw"
    for split in ("train", "valid", "test"):
        (copy / split).mkdir(parents=True)
        shutil.copy(real / "thermalDogsAndPeople" / split / "_annotations.coco.json", copy / split)
    raw = load_task(copy)
    assert raw.classes == task.classes
    assert open_split(raw, "train").annotations == open_split(task, "train").annotations
