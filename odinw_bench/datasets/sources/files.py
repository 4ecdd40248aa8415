"""Data as files: the official layout under a data root, or a folder of the user's."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.forms import divide, find_form, split_note
from odinw_bench.datasets.orientation import decide, turned
from odinw_bench.datasets.task import SplitPaths, Task

DATA_ROOT_VARIABLE = "ODINW_DATA_ROOT"


def known_root(task: Task, data_root: Path | str | None) -> Path | None:
    """The folder that a task's paths are relative to; None where nothing says which."""
    if task.root is not None:
        return task.root
    given = data_root if data_root is not None else os.environ.get(DATA_ROOT_VARIABLE)
    return Path(given).expanduser() if given else None


def root_of(task: Task, data_root: Path | str | None, *, wanted: str) -> Path:
    """The folder that a task's paths are relative to.

    Raises:
        InputError: none was given, or it does not exist; the message says what to download.
    """
    root = known_root(task, data_root)
    if root is None:
        raise InputError(
            f"task '{task.name}' needs its data: give --data-root FOLDER or set {DATA_ROOT_VARIABLE} to the folder "
            f"with '{wanted}'{remedy(task)}"
        )
    if not root.is_dir():
        raise InputError(f"data root '{root}' not found; task '{task.name}' wants '{wanted}' in it{remedy(task, root)}")
    return root


def open_split(task: Task, paths: SplitPaths, root: Path) -> Split:
    """Open a split below a folder.

    Raises:
        InputError: a file is missing (the message says what to download) or unusable; or it is a part of too few
            pictures.
    """
    paths = paths.found_in(root)
    annotations = root / paths.annotations
    form = find_form(task.form)
    if not annotations.is_file() and (task.form == "coco" or not annotations.exists()):
        raise InputError(f"'{paths.annotations}' of task '{task.name}' not found in '{root}'{remedy(task, root)}")
    split = form.open(root, paths, task.classes)
    if task.root is not None:  # official data are taken as the official loader takes them
        others = _others(task, paths, root)
        if split.folder is not None and decide(split, others, task.exif, form, where=f"'{annotations}'") == "apply":
            split = turned(split, form)
    if paths.part is None:
        return split
    part = split.subset(divide(split, paths.part))
    if not len(part):
        raise InputError(
            f"'{annotations}' has {len(split)} pictures, too few for a split '{paths.part.name}': three are needed"
        )
    return part.noted(split_note(paths.part))


def _others(task: Task, paths: SplitPaths, root: Path) -> Iterator[Split]:
    """The other splits of one of the user's data sets that can be opened, whole; parts of one file are one split."""
    done = {(paths.annotations, paths.images)}
    for other in task.splits.values():
        other = other.found_in(root)
        if (other.annotations, other.images) not in done:
            done.add((other.annotations, other.images))
            with suppress(InputError):  # whoever opens it says what is wrong with it
                yield find_form(task.form).open(root, other, task.classes)


def remedy(task: Task, root: Path | None = None, part: str = "") -> str:
    """Where to get a task's data, as the end of a sentence; empty where that is not known.

    Args:
        task: any task.
        root: the data root that was looked in; None: none was given.
        part: of the data, where the suite's are downloaded in parts; empty: what is downloaded unasked.
    """
    from odinw_bench.datasets.download.public import has_public_files  # brings the reading of zips

    if task.root is not None:
        return ""
    hub, page = task.source.hub, task.source.page
    wanted = f"{f' --part {part}' if part else ''}{f' --data-root {shlex.quote(str(root))}' if root else ''}"
    if has_public_files(task.suite):
        command = f"odinw-bench data download --suite {task.suite}{wanted}"
        return f"; '{command}' gets what is public of it{f' ({page})' if page else ''}"
    if hub is None and task.source.roboflow is None:
        return f"; {page} says where to get it" if page else ""
    command = f"odinw-bench data download --suite {task.suite} --dataset {task.name}{wanted}"
    return f"; '{command}' gets it{f' ({hub.url})' if hub else ''}"
