"""The recipes of the thirteen miniature tasks: one YAML file each, validated on load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from glip_core.errors import InputError, nearest
from odinw_bench.mini.backgrounds import BACKGROUNDS, Camera
from odinw_bench.mini.draw import Look, parse_look
from odinw_bench.mini.world import COMMON, describe
from odinw_bench.utils.paths import tasks_folder

SPLITS = ("train", "val", "test")
SHORTEST = 8.0
"""No object may be shorter, in pixels: its parts would vanish."""


@dataclass(frozen=True)
class RecipeClass:
    """A class of a miniature task.

    Attributes:
        name: as in the official task.
        seen: whether pre-training shows this look under this name.
        look: how it looks here.
        weight: how often it is drawn, relative to the others.
        manual: the prompt's entry for it, ``{"prefix", "name", "suffix"}``: unseen names with attributes beside them.
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
        clutter_length: shortest and longest of those.
        turn: largest turn of an object, in radians.
        overlap: how much objects may overlap, in parts of the smaller one's box.
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
    clutter_length: tuple[float, float]
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
    names = task_names()
    if name not in names:
        raise InputError(f"no miniature task '{name}'{nearest(name, names)}")
    return read_recipe(tasks_folder() / "mini" / f"{name}.yaml")


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; see :func:`load_recipe`."""
    try:
        recipe = _parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if recipe.name != path.stem:
        raise InputError(f"{path}: name '{recipe.name}' differs from the file's")
    return recipe


def _parse(raw: Any) -> Recipe:
    task = _mapping(
        raw,
        "recipe",
        required=("name", "title", "backgrounds", "images", "objects", "classes"),
        optional=("size", "camera"),
    )
    objects = _mapping(
        task["objects"],
        "objects",
        required=("count", "length"),
        optional=("clutter", "clutter_length", "turn", "overlap"),
    )
    images = _mapping(task["images"], "images", required=SPLITS)
    length = _range(objects["length"], "objects.length", least=SHORTEST)
    size = _pair(task.get("size", (160, 160)), "size", least=32)
    count = _range(objects["count"], "objects.count", least=1, whole=True)
    clutter = _range(objects.get("clutter", (0, 0)), "objects.clutter", least=0, whole=True)
    classes = tuple(_class(entry, f"classes[{i}]") for i, entry in enumerate(_list(task["classes"], "classes")))
    names = [c.name for c in classes]
    if len(set(names)) < len(names):
        raise InputError(f"classes: two have one name: {', '.join(names)}")
    return Recipe(
        name=_text(task["name"], "name"),
        title=_text(task["title"], "title"),
        size=(int(size[0]), int(size[1])),
        backgrounds=tuple(_background(kind) for kind in _list(task["backgrounds"], "backgrounds")),
        camera=_camera(task.get("camera", {})),
        images={split: int(_number(images[split], f"images.{split}", least=1, whole=True)) for split in SPLITS},
        count=(int(count[0]), int(count[1])),
        length=length,
        clutter=(int(clutter[0]), int(clutter[1])),
        clutter_length=_range(objects.get("clutter_length", length), "objects.clutter_length", least=SHORTEST),
        turn=_number(objects.get("turn", 0.2), "objects.turn", least=0),
        overlap=_number(objects.get("overlap", 0.2), "objects.overlap", least=0),
        classes=classes,
    )


def _class(value: Any, where: str) -> RecipeClass:
    entry = _mapping(value, where, required=("name", "seen"), optional=("look", "like", "weight", "manual"))
    name = _text(entry["name"], f"{where}.name")
    if not isinstance(entry["seen"], bool):
        raise InputError(f"{where}.seen must be true or false, not {entry['seen']!r}")
    if ("look" in entry) == ("like" in entry):
        raise InputError(f"{where}: class '{name}' needs a 'look' (words), or a 'like' (a common name), not both")
    # A seen class is one that pre-training shows under this very name; all others must not be known by name.
    if entry["seen"] != ("like" in entry) or entry["seen"] != (name.lower() in COMMON):
        raise InputError(f"{where}: class '{name}' is seen exactly if it is a common name, which 'like' then repeats")
    if "like" in entry:
        if entry["like"] != name.lower():
            raise InputError(f"{where}.like: class '{name}' must look like '{name.lower()}', not {entry['like']!r}")
        look = COMMON[name.lower()]
    else:
        look = parse_look(_text(entry["look"], f"{where}.look"))
    # A known name says more than the attributes of its main part; only the others are described.
    suffix = "" if entry["seen"] else f", which is {' and '.join(describe(look))}"
    manual = {"prefix": "", "name": name, "suffix": suffix}
    given = _mapping(entry.get("manual", {}), f"{where}.manual", optional=("prefix", "name", "suffix"))
    manual |= {key: _text(text, f"{where}.manual.{key}", empty=True) for key, text in given.items()}
    weight = _number(entry.get("weight", 1), f"{where}.weight", least=0)
    if weight == 0:
        raise InputError(f"{where}.weight must be positive")
    return RecipeClass(name, entry["seen"], look, weight, manual)


def _camera(value: Any) -> Camera:
    given = _mapping(value, "camera", optional=("brightness", "contrast", "tint", "thermal", "blur"))
    plain = Camera()
    tint = _list(given.get("tint", list(plain.tint)), "camera.tint")
    if len(tint) != 3:
        raise InputError(f"camera.tint wants three factors, not {len(tint)}")
    red, green, blue = (_number(factor, "camera.tint", least=0) for factor in tint)
    thermal = given.get("thermal", plain.thermal)
    if not isinstance(thermal, bool):
        raise InputError(f"camera.thermal must be true or false, not {thermal!r}")
    return Camera(
        brightness=_number(given.get("brightness", plain.brightness), "camera.brightness", least=0),
        contrast=_number(given.get("contrast", plain.contrast), "camera.contrast", least=0),
        tint=(red, green, blue),
        thermal=thermal,
        blur=_number(given.get("blur", plain.blur), "camera.blur", least=0),
    )


def _background(value: Any) -> str:
    if value not in BACKGROUNDS:
        raise InputError(f"backgrounds: unknown background {value!r}; known: {', '.join(BACKGROUNDS)}")
    return str(value)


def _mapping(
    value: Any, where: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, not {value!r}")
    known = (*required, *optional)
    for key in value:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{nearest(str(key), known)}")
    for key in required:
        if key not in value:
            raise InputError(f"{where}: key '{key}' is missing")
    return value


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{where} must be a list of at least one entry, not {value!r}")
    return value


def _text(value: Any, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty):
        raise InputError(f"{where} must be a text, not {value!r}")
    return value


def _number(value: Any, where: str, *, least: float, whole: bool = False) -> float:
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < least:
        raise InputError(f"{where} must be a {'whole ' if whole else ''}number of at least {least:g}, not {value!r}")
    return float(value)


def _pair(value: Any, where: str, *, least: float) -> tuple[float, float]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise InputError(f"{where} must be two numbers, not {value!r}")
    first, second = (_number(number, where, least=least, whole=True) for number in value)
    return first, second


def _range(value: Any, where: str, *, least: float, whole: bool = False) -> tuple[float, float]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise InputError(f"{where} must be two numbers, the least and the most, not {value!r}")
    low, high = (_number(number, where, least=least, whole=whole) for number in value)
    if low > high:
        raise InputError(f"{where}: {low:g} exceeds {high:g}")
    return low, high
