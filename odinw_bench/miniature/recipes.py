"""The recipes of the thirteen miniature tasks: one YAML file each, validated on load."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from glip_core.errors import InputError
from odinw_bench.miniature.backgrounds import BACKGROUNDS, Camera
from odinw_bench.miniature.draw import Look, parse_look
from odinw_bench.miniature.world import COMMON, describe
from odinw_bench.paths import tasks_folder

_KEYS = {
    "task": ("name", "title", "size", "backgrounds", "camera", "images", "objects", "classes"),
    "camera": ("brightness", "contrast", "tint", "thermal", "blur"),
    "images": ("train", "val", "test"),
    "objects": ("count", "length", "clutter", "turn", "overlap"),
    "class": ("name", "seen", "look", "like", "weight", "manual"),
    "manual": ("prefix", "name", "suffix"),
}


@dataclass(frozen=True)
class RecipeClass:
    """A class of a miniature task.

    Attributes:
        name: as in the official task.
        seen: whether pre-training shows this look under this name.
        look: how it looks here.
        weight: how often it is drawn, relative to the others.
        manual: attributes for the prompt, ``{"prefix", "name", "suffix"}``.
    """

    name: str
    seen: bool
    look: Look
    weight: float
    manual: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """How the scenes of a task are made.

    Attributes:
        name, title: the task.
        size: (width, height) of the pictures.
        backgrounds: kinds to choose from.
        camera: how pictures are taken.
        images: pictures per split.
        count: fewest and most objects of the classes in a picture.
        length: shortest and longest object, in pixels.
        clutter: fewest and most objects of no class.
        turn: largest turn of an object, in radians.
        overlap: how much objects may overlap.
        classes: in order of their ids, from 1.
    """

    name: str
    title: str
    size: tuple[int, int]
    backgrounds: tuple[str, ...]
    camera: Camera
    images: Mapping[str, int]
    count: tuple[int, int]
    length: tuple[float, float]
    clutter: tuple[int, int]
    turn: float
    overlap: float
    classes: tuple[RecipeClass, ...]


def task_names() -> list[str]:
    """The names of the miniature tasks, sorted."""
    return sorted(path.stem for path in (tasks_folder() / "mini").glob("*.yaml"))


@lru_cache(maxsize=64)
def load_recipe(name: str) -> Recipe:
    """The recipe of a task.

    Raises:
        InputError: no such task, or its file has an unknown key or a bad value; the message names file and key.
    """
    path = tasks_folder() / "mini" / f"{name}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(name, task_names(), n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise InputError(f"no miniature task '{name}': {hint}Known: {', '.join(task_names())}")
    return read_recipe(path)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; see :func:`load_recipe`."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _parse(raw, path)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from error
        missing = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: {missing}") from error


def _only(mapping: Any, kind: str) -> dict[str, Any]:
    if not isinstance(mapping, dict):
        raise InputError(f"'{kind}' must be a mapping")
    for key in mapping:
        if key not in _KEYS[kind]:
            raise InputError(f"unknown key '{key}' in '{kind}'; known: {', '.join(_KEYS[kind])}")
    return mapping


def _parse(raw: Any, path: Path) -> Recipe:
    task = _only(raw, "task")
    objects, camera = _only(task["objects"], "objects"), _only(task.get("camera", {}), "camera")
    for kind in task["backgrounds"]:
        if kind not in BACKGROUNDS:
            raise InputError(f"unknown background '{kind}'; known: {', '.join(BACKGROUNDS)}")
    if task["name"] != path.stem:
        raise InputError(f"name '{task['name']}' differs from the file's")
    return Recipe(
        name=task["name"],
        title=task["title"],
        size=_pair(task.get("size", (160, 160)), int),
        backgrounds=tuple(task["backgrounds"]),
        camera=Camera(**{**camera, "tint": tuple(camera["tint"])} if "tint" in camera else camera),
        images={split: int(count) for split, count in _only(task["images"], "images").items()},
        count=_pair(objects["count"], int),
        length=_pair(objects["length"], float),
        clutter=_pair(objects.get("clutter", (0, 0)), int),
        turn=float(objects.get("turn", 0.2)),
        overlap=float(objects.get("overlap", 0.2)),
        classes=tuple(_parse_class(_only(entry, "class")) for entry in task["classes"]),
    )


def _pair(values: Any, kind: type) -> tuple[Any, Any]:
    low, high = values
    if kind(low) > kind(high) and kind is not int:
        raise InputError(f"{values}: the first value exceeds the second")
    return kind(low), kind(high)


def _parse_class(entry: dict[str, Any]) -> RecipeClass:
    name = entry["name"]
    if "like" in entry:
        if entry["like"] not in COMMON:
            raise InputError(f"class '{name}': 'like: {entry['like']}' is no common name")
        look = COMMON[entry["like"]]
    else:
        look = parse_look(entry["look"])
    manual = {"prefix": "", "name": name, "suffix": f", which is {' and '.join(describe(look))}"}
    manual |= _only(entry.get("manual", {}), "manual")
    return RecipeClass(name, bool(entry["seen"]), look, float(entry.get("weight", 1)), manual)
