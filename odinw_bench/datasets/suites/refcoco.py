"""RefCOCO, RefCOCO+ and RefCOCOg: expressions that mean one object of a photo, from MDETR's annotation files."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.coco import load_picture
from odinw_bench.datasets.mdetr import ARCHIVE, Entry, read_mdetr
from odinw_bench.datasets.sentences import Sentence, SentenceSplit, TruePhrase
from odinw_bench.datasets.suites.places import first_file, picture_folder, relative_place
from odinw_bench.datasets.task import Source, SplitPaths, Task

FORMAT = "refcoco"
SPLITS = {
    "refcoco": {"val": 10834, "testA": 5657, "testB": 5095},
    "refcoco+": {"val": 10758, "testA": 5726, "testB": 4889},
    "refcocog": {"val": 4896, "test": 9602},
}
"""By data set: its splits, with the published number of expressions."""

_TITLES = {"refcoco": "RefCOCO", "refcoco+": "RefCOCO+", "refcocog": "RefCOCOg"}
_FILES = ("mdetr_annotations/{}", "refcoco/{}", "refcoco/mdetr_annotations/{}", "{}")
_PICTURES = ("refcoco/train2014", "coco/train2014", "train2014", "coco2014/train2014")
_REMEDY = "the photos are COCO's train2014 (http://images.cocodataset.org/zips/train2014.zip)"


def tasks(name: str) -> list[Task]:
    """The one task of a suite; its images are counted by expression."""
    splits = {split: SplitPaths(f"mdetr_annotations/{_file(name, split)}", _PICTURES[0]) for split in SPLITS[name]}
    return [
        Task(
            name=name,
            title=_TITLES[name],
            suite=name,
            classes=(),
            splits=splits,
            eval_split="val",
            tested_on="val",
            source=Source("official", page="https://github.com/lichengunc/refer", format=FORMAT),
            notes=(f"expressions and boxes: {ARCHIVE}", _REMEDY),
            evaluation="refexp",
        )
    ]


def refcoco() -> list[Task]:
    """The suite ``refcoco``."""
    return tasks("refcoco")


def refcoco_plus() -> list[Task]:
    """The suite ``refcoco+``."""
    return tasks("refcoco+")


def refcocog() -> list[Task]:
    """The suite ``refcocog``."""
    return tasks("refcocog")


def open_split(task: Task, split: str, root: Path) -> SentenceSplit:
    """Open a split.

    Args:
        task: of :func:`tasks`.
        split: one of its splits.
        root: the data root.

    Raises:
        InputError: the annotation file or the photos are missing, or it cannot be read.
    """
    name = _file(task.name, split)
    path = _found(task.name, split, root)
    if path is None:
        raise InputError(f"'{name}' of {task.title} not found in '{root}': put it into mdetr_annotations/ ({ARCHIVE})")
    entries, sha256 = read_mdetr(path, "original_id")
    folder = picture_folder(root, _PICTURES, entries[0].image["file_name"], remedy=_REMEDY)
    images = {entry.image["id"]: entry.image for entry in entries}
    sentences: dict[int, list[Sentence]] = defaultdict(list)
    for entry in entries:
        sentences[entry.image["id"]].append(_expression(entry, path))
    load = functools.partial(load_picture, folder.absolute())
    return SentenceSplit(list(images.values()), sentences, load, sha256=sha256, folder=folder)


def place_of(task: Task, split: str, root: Path) -> SplitPaths | None:
    """Where a split lies; None: it is not here."""
    return relative_place(root, _found(task.name, split, root), _PICTURES, task.splits[split])


def _found(name: str, split: str, root: Path) -> Path | None:
    return first_file(root, [place.format(_file(name, split)) for place in _FILES])


def _file(name: str, split: str) -> str:
    return f"finetune_{name}_{split}.json"


def _expression(entry: Entry, path: Path) -> Sentence:
    if len(entry.boxes) != 1:
        raise InputError(f"'{path}': expression {entry.number} has {len(entry.boxes)} boxes; it must mean one object")
    ((box, head),) = entry.boxes
    whole = TruePhrase(((0, len(entry.text)),), (box,))
    return Sentence(entry.number, entry.text, (whole, TruePhrase(head, (box,))) if head else (whole,))
