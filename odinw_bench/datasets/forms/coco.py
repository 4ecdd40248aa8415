"""COCO: one JSON file a split, whatever the tools call it and wherever they put the pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, read_annotations
from odinw_bench.datasets.forms.base import (
    SPLIT_WORDS,
    WHOLE,
    Form,
    beginning,
    join,
    split_folders,
    split_of,
    subfolder,
)
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import read_json, stays_inside
from odinw_bench.utils.text import shorten

if TYPE_CHECKING:
    from odinw_bench.datasets.coco import Split

SPLIT_FOLDERS = {"train": ("train",), "val": ("valid", "val"), "minival": ("mini_val", "minival"), "test": ("test",)}
WITHOUT_BACKGROUND = "annotations_without_background.json"
IMAGE_FOLDERS = ("images", "data", "JPEGImages", "imgs", "img")
_HEAD = 1 << 20
_MOST_FILES = 200
"""A folder with more JSON files than this is no data set of one file a split."""


class Coco(Form):
    """The official layouts, Roboflow's, that of COCO itself, and one file with its pictures (CVAT, Label Studio)."""

    name = "coco"
    layout = (
        "COCO (train/_annotations.coco.json and so on; annotations/instances_train2017.json with train2017/; one .json "
        "with images/)"
    )

    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """By the names of the files; see :func:`official_splits` for those that are looked for first."""
        return official_splits(folder) or _found_splits(folder)

    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """The categories of the training annotations, without a background category.

        Category 0 counts as background where no split annotates it: an export's own entry, not a rare class.
        """
        paths = [splits.get("train", next(iter(splits.values()))), *splits.values()]
        files = (read_annotations(folder / split.annotations, keep_background=True)[0] for split in paths)
        categories = next(files)["categories"]
        if len(categories) > 1 and categories[0]["id"] == 0:
            annotated = any(box["category_id"] == 0 for data in files for box in data["annotations"])
            categories = categories if annotated else categories[1:]
        return tuple(TaskClass(category["name"], category["id"]) for category in categories)

    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """What the file holds."""
        content: Annotations = read_json(folder / paths.annotations, what="annotation file")
        return content

    def is_present(self, folder: Path, paths: SplitPaths) -> bool:
        """Whether the file and the folder of pictures are there."""
        return (folder / paths.annotations).is_file() and (folder / paths.images).is_dir()

    def open(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Split:
        """The split; its hash is that of the file's bytes."""
        from odinw_bench.datasets.coco import open_folder

        return open_folder(folder / paths.annotations, folder / paths.images)


def official_splits(folder: Path) -> dict[str, SplitPaths]:
    """The splits of a folder in the official layouts or Roboflow's, as paths relative to it.

    A folder per split with ``annotations_without_background.json``, or one folder with
    ``train_annotations_without_background.json`` and so on, or a folder per split with ``_annotations.coco.json``.
    """
    splits = {}
    for name in SPLIT_FOLDERS:
        for file, images in _candidates(name):
            if (folder / file).is_file():
                splits[name] = SplitPaths(file, images)
                break
    return splits


def is_coco_file(path: Path) -> bool:
    """Whether a file looks like COCO annotations by its first megabyte."""
    head = beginning(path, _HEAD)
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return b'"images"' in head or b'"annotations"' in head


def single_file(path: Path) -> SplitPaths:
    """A data set out of one COCO file: its pictures are looked for around it.

    Args:
        path: the file; paths are relative to its folder, or to the one above where it lies in ``annotations/``.

    Raises:
        InputError: it is not COCO.
    """
    root = root_of_file(path)
    return _with_pictures(root, path.relative_to(root).as_posix())


def root_of_file(path: Path) -> Path:
    """The data set's folder of a COCO file."""
    return path.parent.parent if path.parent.name.lower() in ("annotations", "labels") else path.parent


def _candidates(split: str) -> Iterator[tuple[str, str]]:
    """Where a split may lie: annotation file and image folder."""
    for folder in SPLIT_FOLDERS[split]:
        yield f"{folder}/{WITHOUT_BACKGROUND}", folder
        yield f"{folder}/_annotations.coco.json", folder
        yield f"{folder}_{WITHOUT_BACKGROUND}", "."


def _found_splits(folder: Path) -> dict[str, SplitPaths]:
    """The splits by any COCO files in the folder, its ``annotations/`` and its folders of splits."""
    inner = subfolder(folder, "annotations", "labels")
    places = ["."] + ([inner] if inner else []) + list(split_folders(folder).values())
    files: dict[str, list[str]] = {}
    for place in places:
        there = sorted((folder / place).glob("*.json"))
        for path in there if len(there) <= _MOST_FILES else []:
            if path.is_file() and is_coco_file(path):
                files.setdefault(_split_of_file(path, place), []).append(join(place, path.name))
    if len(files) > 1 and WHOLE in files:  # such as image_info_test beside instances_train and instances_val
        del files[WHOLE]
    return {
        name: _with_pictures(folder, _one_of(folder, files[name])) for name in (*SPLIT_WORDS, WHOLE) if name in files
    }


def _split_of_file(path: Path, place: str) -> str:
    """By the words in its name, else by its folder."""
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    found = next(
        (split for word in reversed(words) if (split := split_of(word) or split_of(word.rstrip("0123456789")))), None
    )
    return found or split_of(place) or WHOLE


def _one_of(folder: Path, files: list[str]) -> str:
    """The file with the boxes, among those of one split.

    Raises:
        InputError: there is no telling.
    """
    if len(files) == 1:
        return files[0]
    boxes = [name for name in files if Path(name).name.startswith("instances")]
    others = ("captions", "person_keypoints", "stuff", "panoptic", "image_info")
    boxes = boxes or [name for name in files if not Path(name).name.startswith(others)]
    if len(boxes) != 1:
        raise InputError(
            f"'{folder}' has several COCO files of one split: {', '.join(boxes or files)}; name one, --dataset "
            f"{folder / (boxes or files)[0]}, or write a task.yaml with 'splits'"
        )
    return boxes[0]


def _with_pictures(folder: Path, file: str) -> SplitPaths:
    """An annotation file and the folder that holds the pictures it names: the first of the usual ones."""
    beside = Path(file).parent.as_posix()
    stem = Path(file).stem.lower()
    words = [word for word in re.split(r"[^a-z0-9]+", stem) if split_of(word) or split_of(word.rstrip("0123456789"))]
    last = [*words[-1:], *SPLIT_WORDS.get(split_of(words[-1].rstrip("0123456789")) or "", ())] if words else ["default"]
    options = []
    for word in last:
        options += [join(inner, word) for inner in IMAGE_FOLDERS] + [word]
    options += [*(join(beside, inner) for inner in IMAGE_FOLDERS), beside, *IMAGE_FOLDERS, "."]
    names = _first_names(folder / file)
    there = [place for place in dict.fromkeys(options) if (folder / place).is_dir()]
    for place in there:
        if names and all((folder / place / name).is_file() for name in names):
            return SplitPaths(file, place)
    for place in there:
        if any((folder / place / name).is_file() for name in names):
            return SplitPaths(file, place)
    return SplitPaths(file, there[0] if there else ".")


def _first_names(path: Path) -> list[str]:
    """A few of the pictures that a COCO file names."""
    content: Any = read_json(path, what="annotation file")
    images = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(images, list):
        raise InputError(f"{path}: not a COCO annotation file: 'images' is missing or not a list")
    names = [image.get("file_name") for image in images[:5] + images[-5:] if isinstance(image, Mapping)]
    bad = next((name for name in names if isinstance(name, str) and not stays_inside(name)), None)
    if bad is not None:
        raise InputError(f"{path}: file_name {shorten(bad)} must be a path inside the image folder")
    return [name for name in names if isinstance(name, str)]
