"""Recipes: validation, the mirrored class lists, what pre-training knows of each class."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from glip_core.errors import InputError
from odinw_bench.datasets.registry import load_task
from odinw_bench.mini import load_recipe, task_names
from odinw_bench.mini.draw import SHAPES
from odinw_bench.mini.pretraining import vocabulary_words
from odinw_bench.mini.recipes import Recipe, read_recipe
from odinw_bench.mini.world import COMMON, describe

RECIPES = {name: load_recipe(name) for name in task_names()}
RAW: dict[str, Any] = {
    "name": "toy",
    "title": "Toy",
    "backgrounds": ["road"],
    "images": {"train": 2, "val": 1, "test": 1},
    "objects": {"count": [1, 2], "length": [20, 40]},
    "classes": [{"name": "Cat", "seen": True, "like": "cat"}, {"name": "gizmo", "seen": False, "look": "red ring"}],
}


def read(folder: Path, raw: Any, name: str = "toy") -> Recipe:
    path = folder / f"{name}.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw))
    return read_recipe(path)


def test_the_thirteen() -> None:
    assert task_names() == [
        "aerial",
        "aquarium",
        "egohands",
        "mushrooms",
        "packages",
        "pascalvoc",
        "pistols",
        "pothole",
        "rabbits",
        "raccoon",
        "shellfish",
        "thermal",
        "vehicles",
    ]


def test_classes_are_those_of_the_real_tasks(shared: Path) -> None:
    official = {
        entry["config"]: entry["classes"]
        for entry in json.loads((shared / "odinw/datasets.json").read_text())["odinw_13"]
    }
    for name, recipe in RECIPES.items():
        assert [c.name for c in recipe.classes] == official[load_task(name, "odinw13").config], name


def test_what_a_recipe_says(tmp_path: Path) -> None:
    recipe = read(tmp_path, RAW)
    assert (recipe.size, recipe.clutter, recipe.clutter_length, recipe.length) == (
        (160, 160),
        (0, 0),
        (20, 40),
        (20, 40),
    )
    cat, gizmo = recipe.classes
    assert cat.look == COMMON["cat"]
    assert (cat.seen, cat.manual) == (True, {"prefix": "", "name": "Cat", "suffix": ""})
    assert (gizmo.seen, gizmo.weight) == (False, 1.0)
    assert gizmo.manual == {"prefix": "", "name": "gizmo", "suffix": ", which is red and ring shaped"}
    raw = copy.deepcopy(RAW)
    raw["classes"][1]["manual"] = {"prefix": "a shiny ", "suffix": ""}
    assert read(tmp_path, raw).classes[1].manual == {"prefix": "a shiny ", "name": "gizmo", "suffix": ""}


def change(*keys: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: Any) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = to

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("colour", to=1), r"toy.yaml': unknown key 'colour' \(known: name, title"),
        (change("objects", "lenght", to=[1, 2]), "objects: unknown key 'lenght'; did you mean 'length'"),
        (change("camera", to={"blurr": 1}), "camera: unknown key 'blurr'; did you mean 'blur'"),
        (change("images", "minival", to=3), "images: unknown key 'minival'"),
        (change("classes", 0, "kolor", to="red"), r"classes\[0\]: unknown key 'kolor'"),
        (
            change("classes", 1, "manual", to={"sufix": "x"}),
            r"classes\[1\].manual: unknown key 'sufix'; did you mean 'suffix'",
        ),
        (change("images", to={"train": 2}), "images: key 'val' is missing"),
        (change("images", "train", to=0), "images.train must be a whole number of at least 1, not 0"),
        (change("images", "train", to="many"), "images.train must be a whole number"),
        (change("backgrounds", to=["moon"]), "unknown background 'moon'.*known: .*road"),
        (change("backgrounds", to=[]), "backgrounds must be a list of backgrounds, at least 1"),
        (change("objects", "count", to=[3, 2]), "objects.count: 3 exceeds 2"),
        (change("objects", "count", to=[1.5, 2]), "objects.count must be a whole number"),
        (change("objects", "length", to=[2, 40]), "objects.length must be a number of at least 8"),
        (change("objects", "length", to=[float("nan"), 40]), "objects.length must be a number"),
        (change("objects", "length", to=30), "objects.length must be a list of 2 numbers"),
        (change("size", to=[160]), "size must be a list of 2 numbers"),
        (change("camera", to={"tint": [1, 1]}), "camera.tint must be a list of 3 numbers"),
        (change("camera", to={"thermal": "yes"}), "camera.thermal must be true or false"),
        (change("classes", 0, "seen", to="no"), r"classes\[0\].seen must be true or false"),
        (change("classes", 0, "seen", to=False), "class 'Cat' is seen exactly if it is a common name"),
        (change("classes", 1, "seen", to=True), "class 'gizmo' is seen exactly if it is a common name"),
        (change("classes", 0, "like", to="dog"), "class 'Cat' must look like 'cat', not 'dog'"),
        (change("classes", 0, "look", to="red ring"), "class 'Cat' needs a .look. .* or a .like."),
        (change("classes", 1, "look", to="mauve ring"), "unknown word 'mauve'"),
        (change("classes", 1, "weight", to=0), "weight must be positive"),
        (change("classes", 1, "name", to=7), r"classes\[1\].name must be a text"),
        (change("classes", to=RAW["classes"][:1] * 2), "two have one name"),
        (change("name", to="other"), "name 'other' differs from the file's"),
    ],
)
def test_bad_recipes_name_file_and_key(tmp_path: Path, edit: Callable[[Any], None], message: str) -> None:
    raw = copy.deepcopy(RAW)
    edit(raw)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, raw)
    assert str(tmp_path / "toy.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2", "- 1", ""])
def test_files_that_are_no_recipe(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"toy\.yaml' "):
        read(tmp_path, text)


def test_unknown_tasks() -> None:
    with pytest.raises(InputError, match="no miniature task 'racoon'; did you mean 'raccoon'"):
        load_recipe("racoon")
    with pytest.raises(InputError, match="no miniature task"):
        load_recipe("../aquarium")


def test_unseen_looks_are_combinations_that_no_common_thing_and_no_other_class_of_the_task_has() -> None:
    fixed = {look.words() for look in COMMON.values()}
    for recipe in RECIPES.values():
        unseen = [c.look.words() for c in recipe.classes if not c.seen]
        assert not fixed & set(unseen), recipe.name
        assert len(set(unseen)) == len(unseen), recipe.name
        assert any(c.seen for c in recipe.classes) or unseen


def test_manual_prompts_use_words_that_pre_training_knows() -> None:
    known = vocabulary_words()
    for recipe in RECIPES.values():
        for c in recipe.classes:
            words = set(re.findall(r"[a-z]+", (c.manual["prefix"] + c.manual["suffix"]).lower()))
            assert words <= known, (recipe.name, c.name)
            assert bool(words) != c.seen
            if not c.seen:
                assert all(attribute in c.manual["suffix"] for attribute in describe(c.look))


def test_a_name_that_begins_with_a_known_shape_has_it() -> None:
    """The vocabulary spells "starfish" from "star": no lie."""
    for recipe in RECIPES.values():
        for c in recipe.classes:
            for shape in SHAPES:
                if not c.seen and c.name.lower().startswith(shape):
                    assert shape in c.look.words()


def test_both_kinds_of_names_occur_and_most_tasks_need_more_than_names() -> None:
    seen = [c.seen for recipe in RECIPES.values() for c in recipe.classes]
    assert 15 <= sum(seen) <= len(seen) - 15
    assert sum(not all(c.seen for c in recipe.classes) for recipe in RECIPES.values()) >= 10
