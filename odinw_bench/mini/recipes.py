"""The recipes of the thirteen miniature tasks: one YAML file each, validated on load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from glip_core.errors import InputError, nearest
from odinw_bench.mini.backgrounds import BACKGROUNDS, Camera
from odinw_bench.mini.draw import Look, parse_look
from odinw_bench.mini.world import COMMON, describe
from odinw_bench.utils.io import read_yaml
from odinw_bench.utils.paths import tasks_folder
from odinw_bench.utils.schema import AnyText, Flag, Schema, Text, check, list_of, number, numbers, span
from odinw_bench.utils.text import shorten

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
    where = f"recipe '{path}'"
    file = check(_RecipeFile, read_yaml(path, what="recipe"), where)
    try:
        recipe = file.recipe()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if recipe.name != path.stem:
        raise InputError(f"{where}: name '{recipe.name}' differs from the file's")
    return recipe


_Two = BeforeValidator(span(0, whole=True))
_Lengths = Annotated[tuple[float, float], BeforeValidator(span(SHORTEST))]
_Factor = Annotated[float, BeforeValidator(number(0))]
_Pictures = Annotated[int, BeforeValidator(number(1, whole=True))]


def _weight(value: float) -> float:
    if value == 0:
        raise ValueError("must be positive")
    return value


def _background(value: str) -> str:
    if value not in BACKGROUNDS:
        raise ValueError(f"unknown background '{value}'{nearest(value, BACKGROUNDS)}")
    return value


class _Manual(Schema):
    prefix: AnyText | None = None
    name: AnyText | None = None
    suffix: AnyText | None = None


class _Class(Schema):
    name: Text
    seen: Flag
    look: Text | None = None
    like: Text | None = None
    weight: Annotated[float, BeforeValidator(number(0)), AfterValidator(_weight)] = 1.0
    manual: _Manual = _Manual()

    def recipe_class(self, where: str) -> RecipeClass:
        common = self.name.lower()
        if (self.look is None) == (self.like is None):
            raise InputError(
                f"{where}: class '{self.name}' needs a 'look' (words) or a 'like' (a common name), not both"
            )
        # A seen class is one that pre-training shows under this very name; all others must not be known by name.
        if self.seen != (self.like is not None) or self.seen != (common in COMMON):
            raise InputError(
                f"{where}: class '{self.name}' is seen exactly if it is a common name, which 'like' then repeats"
            )
        if self.like is not None and self.like != common:
            raise InputError(f"{where}.like: class '{self.name}' must look like '{common}', not {shorten(self.like)}")
        look = COMMON[common] if self.look is None else parse_look(self.look)
        # A known name says more than the attributes of its main part; only the others are described.
        suffix = "" if self.seen else f", which is {' and '.join(describe(look))}"
        manual = {"prefix": "", "name": self.name, "suffix": suffix} | self.manual.model_dump(exclude_none=True)
        return RecipeClass(self.name, self.seen, look, float(self.weight), manual)


class _Objects(Schema):
    count: Annotated[tuple[int, int], BeforeValidator(span(1, whole=True))]
    length: _Lengths
    clutter: Annotated[tuple[int, int], _Two] = (0, 0)
    clutter_length: _Lengths | None = None
    turn: _Factor = 0.2
    overlap: _Factor = 0.2


class _Images(Schema):
    train: _Pictures
    val: _Pictures
    test: _Pictures


class _Camera(Schema):
    brightness: _Factor = Camera.brightness
    contrast: _Factor = Camera.contrast
    tint: Annotated[tuple[float, float, float], BeforeValidator(numbers(3, 0))] = Camera.tint
    thermal: Flag = Camera.thermal
    blur: _Factor = Camera.blur


class _RecipeFile(Schema):
    name: Text
    title: Text
    backgrounds: Annotated[
        tuple[Annotated[Text, AfterValidator(_background)], ...], BeforeValidator(list_of("backgrounds", least=1))
    ]
    images: _Images
    objects: _Objects
    classes: Annotated[tuple[_Class, ...], BeforeValidator(list_of("classes", least=1))]
    size: Annotated[tuple[int, int], BeforeValidator(numbers(2, 32, whole=True))] = (160, 160)
    camera: _Camera = _Camera()

    def recipe(self) -> Recipe:
        names = [entry.name for entry in self.classes]
        if len(set(names)) < len(names):
            raise InputError(f"classes: two have one name: {', '.join(names)}")
        objects = self.objects
        return Recipe(
            name=self.name,
            title=self.title,
            size=self.size,
            backgrounds=self.backgrounds,
            camera=Camera(**self.camera.model_dump()),
            images=self.images.model_dump(),
            count=objects.count,
            length=objects.length,
            clutter=objects.clutter,
            clutter_length=objects.clutter_length or objects.length,
            turn=objects.turn,
            overlap=objects.overlap,
            classes=tuple(entry.recipe_class(f"classes[{i}]") for i, entry in enumerate(self.classes)),
        )
