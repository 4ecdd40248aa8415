"""Hugging Face's image folders: pictures with a ``metadata.jsonl`` that lists the boxes of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, is_number
from odinw_bench.datasets.forms.base import (
    WHOLE,
    Box,
    Form,
    as_coco,
    beginning,
    named_classes,
    split_folders,
    text_lines,
)
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import stays_inside
from odinw_bench.utils.text import is_text, shorten

METADATA = "metadata.jsonl"
OBJECTS = ("objects", "annotations", "object")
BOXES = ("bbox", "bboxes", "boxes", "box")
CLASSES = ("category", "categories", "label", "labels", "category_id", "class", "classes", "id")
"""What data sets on the hub call their columns, the commonest first."""


class ImageFolder(Form):
    """``objects: {bbox: [[x, y, width, height], ...], categories: [...]}`` a picture, boxes in pixels as COCO's."""

    name = "imagefolder"
    layout = (
        'a Hugging Face image folder (metadata.jsonl with "file_name" and "objects": {"bbox": [[x, y, width, height]], '
        '"categories": [names]})'
    )
    states_sizes = False

    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """A file in each folder of a split, or one for all."""
        found = {
            split: SplitPaths(f"{place}/{METADATA}", place)
            for split, place in split_folders(folder).items()
            if _is_metadata(folder / place / METADATA)
        }
        if not found and _is_metadata(folder / METADATA):
            return {WHOLE: SplitPaths(METADATA, ".")}
        return found

    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """The names in all files, sorted; numbers count as names of what ``classes.txt`` lists."""
        names = {
            label for paths in splits.values() for _, found in _rows(folder / paths.annotations) for label, *_ in found
        }
        listed = folder / "classes.txt"
        if listed.is_file():
            return named_classes(text_lines(listed, what="list of classes"))
        if not names:
            raise InputError(f"no line of the {METADATA} in '{folder}' has a box")
        if not all(isinstance(name, str) for name in names):
            raise InputError(
                f"the boxes in '{folder}' have numbers for classes: write their names, one a line from number 0 on, "
                "into classes.txt beside"
            )
        return named_classes(sorted(names))

    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """The boxes of a file."""
        label_of: dict[Any, int] = {entry.name: index for index, entry in enumerate(classes)}
        label_of |= {index: index for index in range(len(classes))}
        pictures = []
        for name, found in _rows(folder / paths.annotations):
            boxes: list[Box] = []
            for label, x, y, width, height in found:
                if label not in label_of:
                    raise InputError(f"'{folder / paths.annotations}': class {shorten(label)} is none of the task's")
                boxes.append((label_of[label], x, y, width, height))
            pictures.append((name, None, boxes))
        return as_coco(folder / paths.images, pictures, classes)


def objects_of(row: Mapping[str, Any], where: str) -> list[tuple[Any, float, float, float, float]]:
    """The boxes of a row: (class, x, y, width, height) of each.

    Args:
        row: with ``objects``, a mapping of lists or a list of mappings, or with the lists themselves.
        where: how errors call it.

    Raises:
        InputError: boxes or classes are missing, or are not as many of one as of the other.
    """
    objects = next((row[key] for key in OBJECTS if key in row), row)
    if objects is None:
        return []
    if isinstance(objects, list):
        if not all(isinstance(one, Mapping) for one in objects):
            raise InputError(f"{where}: objects must be mappings, not {shorten(objects)}")
        keys = {key for one in objects for key in one}
        objects = {key: [one.get(key) for one in objects] for key in keys} if objects else {"bbox": [], "category": []}
    if not isinstance(objects, Mapping):
        raise InputError(f"{where}: objects must be a mapping of lists, not {shorten(objects)}")
    boxes = next((objects[key] for key in BOXES if key in objects), None)
    labels = next((objects[key] for key in CLASSES if key in objects), None)
    if not isinstance(boxes, list) or not isinstance(labels, list) or len(boxes) != len(labels):
        raise InputError(
            f'{where} wants lists of one length under "bbox" and "categories"; there are {shorten(sorted(objects))}'
        )
    found = []
    for box, label in zip(boxes, labels, strict=True):
        if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
            raise InputError(f"{where}: a box must be [x, y, width, height], not {shorten(box)}")
        if not (is_text(label) and label) and not (isinstance(label, int) and not isinstance(label, bool)):
            raise InputError(f"{where}: a class must be a name or a number, not {shorten(label)}")
        found.append((label, *box))
    return found


def _rows(path: Path) -> Iterator[tuple[str, list[tuple[Any, float, float, float, float]]]]:
    for number, line in enumerate(text_lines(path, what="metadata file"), start=1):
        where = f"metadata file '{path}' line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not JSON: {error}") from error
        name = row.get("file_name") if isinstance(row, Mapping) else None
        if not is_text(name) or not name or not stays_inside(name):
            raise InputError(f'{where} must have a "file_name" inside the folder, not {shorten(name)}')
        yield name, objects_of(row, where)


def _is_metadata(path: Path) -> bool:
    head = beginning(path)
    return b'"file_name"' in head and any(f'"{key}"'.encode() in head for key in (*OBJECTS, *BOXES))
