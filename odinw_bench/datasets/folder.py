"""Tasks out of folders of the user's own: any data set in a COCO layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import read_annotations
from odinw_bench.datasets.task import BUILT_IN_SUITES, Source, SplitPaths, Task, TaskClass
from odinw_bench.datasets.taskfile import read_task
from odinw_bench.utils.text import slug

TASK_FILE = "task.yaml"
"""A task file beside the data: gives names, attributes of the prompt, other paths."""

SPLIT_FOLDERS = {"train": ("train",), "val": ("valid", "val"), "minival": ("mini_val", "minival"), "test": ("test",)}
WITHOUT_BACKGROUND = "annotations_without_background.json"
MAX_DEPTH = 3
LAYOUT = (
    "train/, valid/ (or val/) and test/, each with its pictures and annotations_without_background.json or "
    "_annotations.coco.json"
)


def find_splits(folder: Path) -> dict[str, SplitPaths]:
    """The splits of a folder, as paths relative to it.

    Understood are the official layouts (a folder per split with ``annotations_without_background.json``, or one
    folder with ``train_annotations_without_background.json`` and so on) and Roboflow's COCO export (a folder per
    split with ``_annotations.coco.json``).
    """
    splits = {}
    for name in SPLIT_FOLDERS:
        for file, images in _candidates(name):
            if (folder / file).is_file():
                splits[name] = SplitPaths(file, images)
                break
    return splits


def is_task_folder(folder: Path) -> bool:
    """Whether a folder holds one data set."""
    return (folder / TASK_FILE).is_file() or bool(find_splits(folder))


def read_folder(folder: Path, *, suite: str = "custom", name: str | None = None) -> Task:
    """A task out of one folder.

    A ``task.yaml`` in the folder decides, where there is one. Otherwise the classes are those of the training
    annotations, and model selection uses ``val``; without one, ``train`` (never ``test``).

    Args:
        folder: the data set.
        suite: name of the suite it is part of.
        name: short name; None: from the folder's name.

    Raises:
        InputError: nothing there looks like a COCO data set, or its annotations are not COCO.
    """
    if not folder.is_dir():
        raise InputError(f"folder '{folder}' not found")
    folder = folder.resolve()
    if (folder / TASK_FILE).is_file():
        task = read_task(folder / TASK_FILE, suite=suite, root=folder)
        assert task is not None  # a file with a root of its own belongs to every suite
        return task
    splits = find_splits(folder)
    if not splits:
        raise InputError(f"folder '{folder}' is not a COCO data set: it needs {LAYOUT}")
    return Task(
        name=name or _name(folder.name),
        title=folder.name,
        suite=suite,
        classes=classes_of(folder, splits),
        splits=splits,
        eval_split=next(split for split in ("val", "minival", "train", "test") if split in splits),
        source=Source("folder"),
        root=folder,
    )


def read_folders(folder: Path) -> list[Task]:
    """All tasks of a folder: itself a data set, or data sets up to three folders deep.

    Their suite is named after the folder, they after theirs; two of one name by their whole path.

    Raises:
        InputError: there is none, or one of them is not COCO.
    """
    if not folder.is_dir():
        raise InputError(f"folder '{folder}' not found")
    folder = folder.resolve()
    suite = _name(folder.name)
    if suite in BUILT_IN_SUITES:  # else its records would lie among those of the real one
        suite += "-folder"
    try:
        found = _walk(folder, MAX_DEPTH)
    except OSError as error:
        raise InputError(f"folder '{folder}' cannot be searched: {error}") from error
    if not found:
        raise InputError(
            f"folder '{folder}' holds no COCO data set: neither it nor a folder in it (to depth {MAX_DEPTH}) "
            f"has {LAYOUT}"
        )
    short = [_name(path.name) for path in found]
    tasks: dict[str, Task] = {}
    for path, name in zip(found, short, strict=True):
        whole = name
        if short.count(name) > 1:
            relative = path.relative_to(folder).as_posix()
            whole = _name(relative)
            if whole in tasks or whole in short:  # folders that differ in characters which names do not have
                whole = slug(relative, unique=True)
        task = read_folder(path, suite=suite, name=whole)
        if task.name in tasks:
            raise InputError(
                f"two data sets are called '{task.name}': '{tasks[task.name].root}' and '{task.root}'; give one "
                f"another name in its {TASK_FILE}"
            )
        tasks[task.name] = task
    return [tasks[name] for name in sorted(tasks)]


def _name(text: str) -> str:
    """The name of a data set in a folder of that name."""
    return slug(text) or "folder"


def _candidates(split: str) -> Iterator[tuple[str, str]]:
    """Where a split may lie: annotation file and image folder."""
    for folder in SPLIT_FOLDERS[split]:
        yield f"{folder}/{WITHOUT_BACKGROUND}", folder
        yield f"{folder}/_annotations.coco.json", folder
        yield f"{folder}_{WITHOUT_BACKGROUND}", "."


def _walk(folder: Path, depth: int) -> list[Path]:
    if is_task_folder(folder):
        return [folder]
    if depth == 0:
        return []
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [found for path in inner for found in _walk(path, depth - 1)]


def classes_of(folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
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
