"""Data sets of any form written as COCO: a folder a split, pictures beside their annotations."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from glip_core.errors import InputError
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.folder import TASK_FILE
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.task import Exif, Task, is_split_name
from odinw_bench.utils.free_names import FreeNames
from odinw_bench.utils.io import write_json, write_text
from odinw_bench.utils.text import shorten

ANNOTATIONS = "_annotations.coco.json"
_FOLDERS = {"val": "valid"}


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        folder: the data set.
        images: how many pictures, by split.
    """

    folder: Path
    images: dict[str, int]


def convert(task: Task, out: Path) -> Converted:
    """Write a data set of the user's as COCO, with its pictures' bytes as they are.

    Hand-written prompts, synonyms, words for the prompt search and orientations go into a task file beside them.

    Args:
        task: from :func:`odinw_bench.datasets.folder.read_folder`.
        out: made where it is missing; it must be empty.

    Raises:
        InputError: ``out`` holds something, a split or picture is missing or unusable, or two splits would have one
            folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' is there already: give --out a new or empty folder")
    places = _places(task.splits)
    splits = {
        name: open_split(task, name) for name in task.splits
    }  # all that is wrong is said before anything is written
    counts = {}
    for name, split in splits.items():
        place = out / places[name]
        images = _copy(split, place)
        write_json(place / ANNOTATIONS, {**_content(split), "images": images}, indent=None)
        counts[name] = len(split)
    turned = any("turned by their EXIF orientation" in note for split in splits.values() for note in split.notes)
    said = _beside_annotations(task, "apply" if turned else task.exif)
    if said:
        write_text(out / TASK_FILE, yaml.safe_dump({"name": task.name, **said}, sort_keys=False, allow_unicode=True))
    return Converted(out, counts)


def _beside_annotations(task: Task, exif: Exif | None) -> dict[str, Any]:
    """What COCO has no place for, as a task file says it: orientations, words of prompts and of their search."""
    said: dict[str, Any] = {} if exif is None else {"exif": exif}
    if any(entry.manual is not None or entry.synonyms for entry in task.classes):
        said["classes"] = [
            {"id": entry.category_id, "name": entry.name}
            | ({} if entry.manual is None else {"manual": dict(entry.manual)})
            | ({"synonyms": list(entry.synonyms)} if entry.synonyms else {})
            for entry in task.classes
        ]
    if task.attributes:
        said["attributes"] = {kind: list(words) for kind, words in task.attributes.items()}
    return said


def _places(splits: Iterable[str]) -> dict[str, str]:
    """From splits to their folders.

    Raises:
        InputError: a name is no folder's, or two splits would have one folder.
    """
    places: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in splits:
        if not is_split_name(name):
            raise InputError(f"split {shorten(name)} cannot be written: its name must be letters, digits, '-' and '_'")
        places[name] = _FOLDERS.get(name, name)
        other = taken.setdefault(places[name].lower(), name)  # some file systems do not tell cases apart
        if other != name:
            raise InputError(f"splits '{other}' and '{name}' would both be written into '{places[name]}/': rename one")
    return places


def _content(split: Split) -> dict[str, Any]:
    return {
        "info": {"description": "; ".join(split.notes)},
        "categories": split.annotations["categories"],
        "annotations": split.annotations["annotations"],
    }


def _copy(split: Split, place: Path) -> list[dict[str, Any]]:
    """Copy the pictures; those of one name in two folders get their folders' names before it."""
    if split.folder is None:
        raise InputError("the miniature is written by 'odinw-bench data render'")
    place.mkdir(parents=True, exist_ok=True)
    names = [split.file_name(image_id) for image_id in split.image_ids]
    entries = []
    for image_id, name, written in zip(split.image_ids, names, _flat(names), strict=True):
        source = split.folder / name
        if not source.is_file():
            raise InputError(f"image '{source}' not found")
        shutil.copyfile(source, place / written)
        width, height = split.size(image_id)
        entries.append({"id": image_id, "file_name": written, "width": width, "height": height})
    return entries


def _flat(names: Sequence[str]) -> list[str]:
    """A name in one folder for each path, no two alike in any case: some file systems do not tell cases apart."""
    plain = [PurePosixPath(name).name for name in names]
    count = Counter(map(str.casefold, plain))
    free, written = FreeNames([ANNOTATIONS]), []
    for name, short in zip(names, plain, strict=True):
        wanted = PurePosixPath(short if count[short.casefold()] == 1 else name.replace("/", "-"))
        written.append(free.take(wanted.stem, wanted.suffix))
    return written
