"""What a tuned detector is asked again beside its task: the data sets of ``run --retention``."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glip_core.errors import InputError, nearest
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.folder import read_folder
from odinw_bench.datasets.names import identity, task_labels
from odinw_bench.datasets.picture_hashes import pictures_sha256
from odinw_bench.datasets.registry import SUITES, load_suite, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.text import shorten

IMAGES = 500
"""Of each data set, at most; of the miniature's tasks :data:`odinw_bench.mini.seen.IMAGES`."""

MINI = "mini"


@dataclass(frozen=True)
class RetainedTask:
    """A data set that a detector could do zero-shot before it was tuned.

    Attributes:
        task: with the classes that are looked for.
        split: the images, a fixed choice of them.
        pictures: what these are, see :func:`odinw_bench.datasets.picture_hashes.pictures_sha256`; None: drawn.
        label: what to call the data set beside others of its name; empty: by its name.
    """

    task: Task
    split: Split
    pictures: str | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """Suite and data set; no two that are asked for together have the same."""
        return f"{self.task.suite}/{self.label or self.task.name}"

    @property
    def identity(self) -> dict[str, Any]:
        """What of it can change the numbers."""
        pictures = {} if self.pictures is None else {"pictures": self.pictures}
        return self.identity_without_pictures | pictures

    @property
    def identity_without_pictures(self) -> dict[str, Any]:
        """:attr:`identity` as it was before it covered the pictures."""
        name = f"{self.task.suite}/{self.task.name}"  # without the label, which may have folders of a path in it
        return {"task": name, "data": self.split.sha256, "classes": self.task.class_names}


def wanted_tasks(wanted: Sequence[str], own: Task) -> list[Task]:
    """The data sets of some entries of ``--retention``, each once.

    Args:
        wanted: each the name of a suite (all of its tasks; of ``mini`` those with seen names), ``SUITE/TASK``, a task
            of the run's own suite or the path of a data set.
        own: the task that is tuned on; it is left out.

    Raises:
        InputError: there is no such suite, task or folder, its test is not COCO's AP, or nothing is left.
    """
    found = other_tasks(wanted, own)
    if not found:
        raise InputError(
            f"--retention {shorten(','.join(wanted))} names nothing beside '{own.name}', which is tuned on: name a "
            "suite (mini, coco), SUITE/TASK or the path of a data set"
        )
    return found


def other_tasks(wanted: Sequence[str], own: Task) -> list[Task]:
    """:func:`wanted_tasks`, or nothing where the run's own task alone is named.

    Raises:
        InputError: there is no such suite, task or folder, or its test is not COCO's AP.
    """
    found = {identity(task): task for entry in wanted for task in _named(entry, own.suite)}
    found.pop(identity(own), None)
    for task in found.values():
        if task.evaluation != "coco":
            raise InputError(
                f"--retention {task.suite}/{task.name}: it is not tested by COCO's AP; name another data set"
            )
    return list(found.values())


def _named(entry: str, suite: str) -> list[Task]:
    name = entry.lower()
    if name == MINI:
        from odinw_bench.mini.seen import seen_tasks  # numpy and drawing: only when it is asked for

        return [load_task(task, MINI) for task in seen_tasks()]
    if name in SUITES:
        return load_suite(name)
    head, _, tail = entry.partition("/")
    if tail and head.lower() in SUITES:
        return [load_task(tail, head.lower())]
    try:
        if suite not in SUITES:  # the run's own data set is a path, beside which no names are known
            return [read_folder(Path(entry).expanduser())]
        return [load_task(entry, suite)]
    except InputError as error:
        raise InputError(
            f"--retention: {error}{nearest(name, SUITES)}; a suite, SUITE/TASK or the path of a data set is wanted"
        ) from error


def open_retained(task: Task, data_root: Path | str | None = None) -> RetainedTask:
    """The images and classes of a data set that are asked for.

    Of the miniature these are seen names and the first images that show them; else all classes, and a fixed choice of
    :data:`IMAGES` images of the split that is tested on.

    Raises:
        InputError: its data are missing or unusable.
    """
    if task.suite == MINI:
        return _drawn(task)
    split = open_split(task, task.split_named("test"), data_root)
    if len(split) > IMAGES:
        ids = random.Random("retention").sample(split.image_ids, IMAGES)
        split = split.subset(sorted(ids))
    task = task if task.classes else replace(task, classes=split.task_classes())
    return RetainedTask(task, split, pictures_sha256(split))


def _drawn(task: Task) -> RetainedTask:
    from odinw_bench.mini.seen import render_seen

    content, load_image = render_seen(task.name)
    annotations = check_annotations(content, where=f"seen names of miniature {task.name}")
    split = Split(annotations, load_image, sha256=sha256_bytes(canonical_json(annotations)))
    known = set(split.category_ids)
    return RetainedTask(replace(task, classes=tuple(one for one in task.classes if one.category_id in known)), split)


class RetainedTasks:
    """Opens what is asked for again once for many runs.

    Args:
        data_root: folder of the official data.
    """

    def __init__(self, data_root: Path | str | None = None) -> None:
        self.data_root = data_root
        self._opened: dict[tuple[str, ...], RetainedTask] = {}

    def of(self, wanted: Sequence[str], own: Task) -> tuple[RetainedTask, ...]:
        """See :func:`wanted_tasks` and :func:`open_retained`.

        Raises:
            InputError: see there.
        """
        tasks = {identity(task): task for task in wanted_tasks(wanted, own)}
        for key, task in tasks.items():
            if key not in self._opened:
                self._opened[key] = open_retained(task, self.data_root)
        of_one_name = Counter((task.suite, task.name) for task in tasks.values())
        labels = dict(zip(tasks, task_labels([*tasks.values()]), strict=True))
        return tuple(
            replace(self._opened[key], label=labels[key] if of_one_name[task.suite, task.name] > 1 else "")
            for key, task in tasks.items()
        )
