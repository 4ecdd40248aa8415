"""Tasks out of folders of the user's own: any data set in a COCO layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.forms import complete, layouts, recognise, what_is_there
from odinw_bench.datasets.forms.coco import is_coco_file, official_splits, root_of_file, single_file
from odinw_bench.datasets.forms.table import find_form
from odinw_bench.datasets.forms.yolo import is_data_file, stated_root
from odinw_bench.datasets.owntask import OwnTask, is_task_file, read_own_task
from odinw_bench.datasets.task import BUILT_IN_SUITES, SplitPaths, Task, TaskClass
from odinw_bench.utils.text import slug

TASK_FILE = "task.yaml"
"""A task file beside the data: gives names, attributes of the prompt, other paths."""

MAX_DEPTH = 3
find_splits = official_splits


def is_task_folder(folder: Path) -> bool:
    """Whether a folder holds one data set."""
    return (folder / TASK_FILE).is_file() or recognise(folder) is not None


def is_data_set(path: Path) -> bool:
    """Whether a path holds one data set: a folder in any form, a COCO file, YOLO's ``data.yaml``, a task file."""
    if path.is_dir():
        return is_task_folder(path)
    return path.is_file() and (
        is_data_file(path) or is_task_file(path) or (path.suffix == ".json" and is_coco_file(path))
    )


def holds_data_sets(folder: Path) -> bool:
    """Whether a folder is a data set or has one in it, up to three folders deep."""
    try:
        return bool(_walk(folder, MAX_DEPTH))
    except OSError:
        return False


_LOOKED_INTO = 20
"""Folders in one that is no data set that are looked into for a hint."""


def read_folder(folder: Path, *, suite: str = "custom", name: str | None = None) -> Task:
    """A task out of one path: a folder in any form (see :mod:`odinw_bench.datasets.forms`), or a file.

    A ``task.yaml`` in the folder decides, where there is one. Otherwise the classes are those of the annotations, and
    splits that are missing are made by a rule (:func:`odinw_bench.datasets.forms.splitting.complete`). Model selection
    uses ``val``; without one, ``train`` (never ``test``).

    Args:
        folder: the data set; or a COCO file with its pictures around it, YOLO's ``data.yaml``, or a task file, which
            may lie anywhere and says with ``root`` where the data are.
        suite: name of the suite it is part of.
        name: short name; None: from the folder's name.

    Raises:
        InputError: nothing there is understood, or annotations are unusable.
    """
    if folder.is_file():
        return _read_file(folder.resolve(), suite=suite, name=name)
    if not folder.is_dir():
        raise InputError(f"folder '{folder}' not found")
    folder = folder.resolve()
    if (folder / TASK_FILE).is_file():
        return _own(folder / TASK_FILE, suite, name)
    found = _recognised(folder)
    if found is None:
        inner = _data_sets_in(folder)
        hint = f"; give {' or '.join(repr(str(path)) for path in inner)}, which {'is' if len(inner) == 1 else 'are'}"
        understood = hint if inner else f"; understood are {layouts()}"
        raise InputError(f"folder '{folder}' is not a data set: {what_is_there(folder)}{understood}")
    return _task(folder, *found, suite=suite, name=name)


def _data_sets_in(folder: Path) -> list[Path]:
    """The first folders right in a folder that are data sets: archives often unpack to one folder more."""
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir())[:_LOOKED_INTO]
        return [path for path in inner if (path / TASK_FILE).is_file() or _recognised(path) is not None][:3]
    except (OSError, InputError):
        return []


def _recognised(folder: Path) -> tuple[str, dict[str, SplitPaths]] | None:
    found = recognise(folder)
    return None if found is None else (found[0].name, found[1])


def _read_file(path: Path, *, suite: str, name: str | None) -> Task:
    if is_data_file(path):
        root = stated_root(path)
        form = find_form("yolo")
        splits = form.splits(root)
        if not splits:
            raise InputError(f"the pictures of YOLO data file '{path}' are not in '{root}'; it needs {form.layout}")
        return _task(root, "yolo", splits, suite=suite, name=name)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _own(path, suite, name)
    if path.suffix.lower() == ".json":
        paths = single_file(path)
        whole = {"all": paths}
        return _task(root_of_file(path), "coco", whole, suite=suite, name=name or _name(path.stem), file=path)
    raise InputError(f"'{path}' is no data set: give a folder, a COCO .json, YOLO's data.yaml or a task .yaml")


def _task(
    folder: Path,
    form: str,
    splits: dict[str, SplitPaths],
    *,
    suite: str,
    name: str | None,
    own: OwnTask | None = None,
    file: Path | None = None,
) -> Task:
    """A task of a recognised folder; what a task file says goes before what was found."""
    own = own or OwnTask()
    classes = own.classes or find_form(form).classes(folder, splits)
    notes: Sequence[str] = ()
    if not own.splits:
        splits, notes = complete(splits, own.split_seed)
    return Task(
        name=own.name or name or _name(folder.name),
        title=own.title or folder.name,
        suite=suite,
        classes=classes,
        splits=splits,
        eval_split=own.eval_split or next(one for one in ("val", "minival", "train", "test", *splits) if one in splits),
        config=own.config,
        licence=own.licence,
        source=own.source,
        aliases=own.aliases,
        fewshot=own.fewshot,
        root=folder,
        notes=(*own.notes, *notes),
        attributes=own.attributes,
        form=form,
        exif=own.exif,
        file=file,
    )


def _own(path: Path, suite: str, name: str | None) -> Task:
    """A task out of a task file of the user's."""
    own = read_own_task(path)
    root = (path.parent / Path(own.root or ".").expanduser()).resolve()
    if not root.is_dir():
        raise InputError(f"task file '{path}': its root '{root}' is not a folder")
    if own.splits:
        found: tuple[str, dict[str, SplitPaths]] | None = (own.form or "coco", dict(own.splits))
    elif own.form is not None:
        found = (own.form, find_form(own.form).splits(root))
    else:
        found = _recognised(root)
    if found is None or not found[1]:
        raise InputError(
            f"task file '{path}' has no 'splits', and '{root}' is not a data set: {what_is_there(root)}; "
            f"understood are {layouts()}"
        )
    default = path.name == TASK_FILE and root == path.parent.resolve()
    stem = name if path.name == TASK_FILE else _name(path.stem)
    return _task(root, *found, suite=suite, name=stem, own=own, file=None if default else path)


def read_folders(folder: Path) -> list[Task]:
    """All tasks of a folder: itself a data set, or task files or data sets in it, up to three folders deep.

    Their suite is named after the folder, they after theirs; two of one name by their whole path.

    Raises:
        InputError: there is none, or one of them is unusable.
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
            f"folder '{folder}' holds no data set: neither it nor a folder in it (to depth {MAX_DEPTH}) is in a "
            f"form that is understood, and {what_is_there(folder)}; understood are {layouts()}"
        )
    short = [_name(path.stem if path.is_file() else path.name) for path in found]
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


def _walk(folder: Path, depth: int) -> list[Path]:
    if is_task_folder(folder):
        return [folder]
    if depth == 0:
        return []
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in entries if path.is_file() and path.suffix in (".yaml", ".yml") and is_task_file(path)]
    if files:  # a suite of task files, whose data may lie beside them
        return files
    return [found for path in entries if path.is_dir() for found in _walk(path, depth - 1)]


def classes_of(folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
    """The categories of COCO annotations, without a background category; see :meth:`Form.classes`."""
    return find_form("coco").classes(folder, splits)
