"""YOLO: a text file a picture, a line a box, in parts of the picture's width and height.

Read here rather than by ``supervision``'s loader, which decodes every picture, wants one folder a call, and neither
finds the splits of the tools' exports nor names the file and line of a slip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations
from odinw_bench.datasets.forms.base import (
    SPLIT_WORDS,
    WHOLE,
    Box,
    Form,
    as_coco,
    join,
    list_pictures,
    named_classes,
    split_folders,
    split_of,
    subfolder,
    text_lines,
)
from odinw_bench.datasets.headers import picture_header
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import read_yaml, stays_inside
from odinw_bench.utils.text import shorten

DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
CLASS_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
SLACK = 0.01
"""How far a box may reach out of its picture, in parts of it: roundings of labelling tools."""


class Yolo(Form):
    """Ultralytics, Roboflow, Label Studio and CVAT (Darknet) write it in four layouts."""

    name = "yolo"
    layout = "YOLO (data.yaml or classes.txt, images/ and labels/, or train/images/ and train/labels/)"
    states_sizes = False
    relative = True

    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """By ``data.yaml`` where it says so and is right, else by the names of folders."""
        file = data_file(folder)
        if file is None and not any((folder / name).is_file() for name in CLASS_FILES):
            return {}
        name = file.name if file is not None else next(one for one in CLASS_FILES if (folder / one).is_file())
        found = _stated(folder, _content(file)) if file is not None else {}
        if not found:
            found = dict(_by_folders(folder))
        return {split: SplitPaths(name, images) for split, images in found.items()}

    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """Those of ``data.yaml`` or the list of names; ids are YOLO's plus one."""
        path = folder / next(iter(splits.values())).annotations
        if path.suffix in (".txt", ".names"):
            return named_classes(text_lines(path, what="list of classes"))
        return named_classes(_names(_content(path).get("names"), path))

    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """Boxes; a polygon gives the box around it."""
        content = _content(folder / paths.annotations) if paths.annotations.endswith((".yaml", ".yml")) else {}
        keypoints = content.get("kpt_shape") is not None
        listed = []
        polygons = 0
        for name in _pictures(folder, paths.images):
            width, height = picture_header(folder / name)[:2]
            label = folder / label_path(folder, name)
            boxes: list[Box] = []
            if label.is_file():
                for number, line in enumerate(text_lines(label, what="label file"), start=1):
                    where = f"label file '{label}' line {number}"
                    box, is_polygon = parse_line(line, len(classes), where=where, keypoints=keypoints)
                    polygons += is_polygon
                    label_index, x, y, w, h = box
                    boxes.append((label_index, x * width, y * height, w * width, h * height))
            listed.append((name, (width, height), boxes))
        if not listed:
            raise InputError(f"no pictures in '{folder / paths.images}'")
        if not any(boxes for _, _, boxes in listed):
            raise InputError(
                f"none of the {len(listed)} pictures in '{folder / paths.images}' has a label file with a box, such as "
                f"'{label_path(folder, listed[0][0])}'"
            )
        notes = [f"{polygons} polygons were taken as the boxes around them"] if polygons else []
        return as_coco(folder, listed, classes, notes)

    def pictures(self, folder: Path, paths: SplitPaths) -> Path:
        """The data set's folder: lists of pictures may name several folders."""
        return folder

    def is_present(self, folder: Path, paths: SplitPaths) -> bool:
        """Whether classes and pictures are there."""
        return (folder / paths.annotations).is_file() and (folder / paths.images).exists()


def data_file(folder: Path) -> Path | None:
    """The YAML file of a YOLO data set."""
    return next((folder / name for name in DATA_FILES if is_data_file(folder / name)), None)


def is_data_file(path: Path) -> bool:
    """Whether a file is YOLO's ``data.yaml``: it names classes and training pictures."""
    if not path.is_file() or path.suffix.lower() not in (".yaml", ".yml"):
        return False
    try:
        content = read_yaml(path)
    except InputError:
        return False
    return isinstance(content, Mapping) and "names" in content and bool({"train", "val", "test", "path"} & set(content))


def stated_root(path: Path) -> Path:
    """The folder that a ``data.yaml`` is about: its key ``path`` where that is a folder, else its own."""
    stated = _content(path).get("path")
    if isinstance(stated, str) and stated and "\0" not in stated:
        folder = (path.parent / Path(stated).expanduser()).resolve()
        if folder.is_dir():
            return folder
    return path.parent.resolve()


def parse_line(line: str, classes: int, *, where: str, keypoints: bool = False) -> tuple[Box, bool]:
    """A line of a label file.

    Args:
        line: ``class x y width height`` with the middle of the box, or ``class x1 y1 x2 y2 x3 y3 ...``; each 0 to 1.
        classes: how many there are.
        where: how errors call it.
        keypoints: points of a pose follow the box.

    Returns:
        label and (x, y, width, height) in parts of the picture, clipped to it; whether it was a polygon.

    Raises:
        InputError: it is none of that.
    """
    try:
        label, *numbers = (float(word) for word in line.split())
    except ValueError as error:
        raise InputError(f"{where} must be numbers, 'class x y width height', not {shorten(line)}") from error
    if not all(map(math.isfinite, (label, *numbers))) or label != int(label) or not 0 <= label < classes:
        raise InputError(
            f"{where}: class {shorten(line.split()[0])} is none of the {classes} classes, 0 to {classes - 1}"
        )
    polygon = len(numbers) >= 6 and len(numbers) % 2 == 0 and not keypoints
    if polygon:
        left, right = min(numbers[::2]), max(numbers[::2])
        top, bottom = min(numbers[1::2]), max(numbers[1::2])
    elif len(numbers) == 4 or (keypoints and len(numbers) > 4):
        x, y, width, height = numbers[:4]
        if width < 0 or height < 0:
            raise InputError(f"{where} has a negative width or height: {shorten(line)}")
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    else:
        raise InputError(
            f"{where} has {len(numbers)} numbers after the class; a box has 4 (x y width height), a polygon 6 or more"
        )
    if min(left, top) < -SLACK or max(right, bottom) > 1 + SLACK:
        raise InputError(f"{where} must be parts of the picture, 0 to 1, not {shorten(line)}")
    left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in (left, top, right, bottom))
    return (int(label), left, top, right - left, bottom - top), polygon


def label_path(folder: Path, picture: str) -> str:
    """The label file of a picture: ``labels`` in place of the last ``images`` of its path; else beside it."""
    parts = Path(picture).with_suffix(".txt").parts
    for index in range(len(parts) - 2, -1, -1):
        if parts[index].lower() == "images":
            return join(*parts[:index], "labels", *parts[index + 1 :])
    beside = join(*parts)
    other = join("labels", *parts)
    return other if not (folder / beside).is_file() and (folder / other).is_file() else beside


def _content(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path, what="YOLO data file")
    return content if isinstance(content, Mapping) else {}


def _names(names: Any, path: Path) -> list[str]:
    if isinstance(names, Mapping) and set(names) == set(range(len(names))):
        names = [names[key] for key in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise InputError(
            f"YOLO data file '{path}': names must be a list, or map 0, 1, 2... to names, not {shorten(names)}"
        )
    return [str(name) for name in names]


def _stated(folder: Path, content: Mapping[str, Any]) -> dict[str, str]:
    """What ``data.yaml`` says about splits, as far as it is there."""
    found: dict[str, str] = {}
    for key in ("train", "val", "valid", "test"):
        value = content.get(key)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        place = _place(folder, value) if isinstance(value, str) else None
        if place is not None:
            found.setdefault(split_of(key) or key, place)
    if len(found) > 1 and len({*found.values()}) == 1:  # one folder for all of them: nobody divided it
        return {WHOLE: next(iter(found.values()))}
    if "test" in found and found["test"] == found.get("val"):
        del found["test"]
    return found if len({*found.values()}) == len(found) else {}


def _place(folder: Path, text: str) -> str | None:
    """A path of ``data.yaml`` within the folder; Roboflow writes ``../train/images`` for ``train/images``."""
    base = folder.resolve()
    plain = text.replace("\\", "/").strip()
    while plain.startswith("../"):
        plain = plain[3:]
    for candidate in (Path(text), Path(plain), Path("images", plain)):
        try:
            path = (base / candidate).resolve()
            if path.exists() and path.is_relative_to(base):
                return path.relative_to(base).as_posix()
        except (OSError, ValueError):
            continue
    return None


def _by_folders(folder: Path) -> Iterator[tuple[str, str]]:
    """Splits by the names of folders, and Darknet's lists of pictures."""
    images = subfolder(folder, "images")
    inner = split_folders(folder / images) if images is not None else {}
    if images is not None and inner:
        yield from ((split, join(images, place)) for split, place in inner.items())
        return
    outer = {split: place for split, place in split_folders(folder).items() if subfolder(folder / place, "images")}
    if outer:
        yield from ((split, join(place, "images")) for split, place in outer.items())
        return
    darknet = {}
    for split, words in SPLIT_WORDS.items():
        place = subfolder(folder, *(f"obj_{word}_data" for word in words))
        if place is not None:
            darknet[split] = place
    if darknet:
        yield from darknet.items()
    elif images is not None and subfolder(folder, "labels"):
        yield WHOLE, images


def _pictures(folder: Path, place: str) -> list[str]:
    """The pictures of a folder or of a list of them, as paths relative to the data set."""
    path = folder / place
    if path.is_dir():
        return [join(place, name) for name in list_pictures(path)]
    names = []
    for line in text_lines(path, what="list of pictures"):
        plain = line.replace("\\", "/").removeprefix("./")
        options = (plain, plain.removeprefix("data/"), join(Path(place).parent.as_posix(), plain))
        found = next((name for name in options if stays_inside(name) and (folder / name).is_file()), None)
        if found is None:
            raise InputError(f"list of pictures '{path}': {shorten(line)} is not in '{folder}'")
        names.append(found)
    return names
