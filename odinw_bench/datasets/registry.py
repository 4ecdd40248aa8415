"""Finding tasks: by name in a suite, or in a folder of the user's own."""

from __future__ import annotations

import functools
from pathlib import Path

from glip_core.errors import InputError, nearest
from odinw_bench.datasets import folder as folder_tasks
from odinw_bench.datasets.suites import LOADERS
from odinw_bench.datasets.task import BUILT_IN_SUITES, Source, SplitPaths, Task, TaskClass
from odinw_bench.datasets.taskfile import read_task
from odinw_bench.utils.paths import tasks_folder
from odinw_bench.utils.plugins import load_object
from odinw_bench.utils.text import shorten

__all__ = ["SUITES", "Source", "SplitPaths", "Task", "TaskClass", "list_tasks", "load_suite", "load_task"]

SUITES = BUILT_IN_SUITES


def load_suite(suite: str | Path) -> list[Task]:
    """All tasks of a suite, sorted by name.

    Args:
        suite: one of :data:`SUITES`, or the path of a folder that holds COCO data sets.

    Raises:
        InputError: there is no such suite or folder, or one of its tasks is unusable.
    """
    name = str(suite).lower()
    if name in SUITES:
        return list(_built_in(name))
    if _is_path(suite):
        return folder_tasks.read_folders(Path(suite).expanduser())
    raise InputError(f"unknown suite {shorten(str(suite))}{nearest(str(suite), [*SUITES, 'path of a folder'])}")


def list_tasks(suite: str | Path = "odinw13") -> list[str]:
    """Short names of the tasks of a suite, sorted.

    Raises:
        InputError: see :func:`load_suite`.
    """
    return [task.name for task in load_suite(suite)]


def load_task(name: str | Path, suite: str | Path = "odinw13") -> Task:
    """One task.

    Args:
        name: short name, title, alias or official config name, in any case; or the path of a COCO folder, which
            then counts as a suite of its own, ``custom``.
        suite: where to look the name up.

    Raises:
        InputError: there is no such task or folder (with the nearest name), or it is unusable.
    """
    tasks = load_suite(suite)
    by_name = {known.casefold(): task for task in reversed(tasks) for known in reversed(task.names)}
    task = by_name.get(str(name).casefold())
    if task is not None:
        return task
    if _is_path(name):
        return folder_tasks.read_folder(Path(name).expanduser())
    elsewhere = [other for other in ("odinw13", "odinw35") if _has(other, str(name))]  # mini has odinw13's names
    if elsewhere:
        raise InputError(f"task {shorten(str(name))} is not in suite '{suite}' but in '{elsewhere[0]}'")
    hint = nearest(str(name), [task.name for task in tasks], also=by_name)
    raise InputError(f"unknown task {shorten(str(name))} in suite '{suite}'{hint}; there is no folder of that name")


@functools.cache
def _built_in(suite: str) -> tuple[Task, ...]:
    if suite == "mini":
        return _miniature()
    if suite in LOADERS:
        return tuple(sorted(load_object(LOADERS[suite], "suite", here=False)(), key=lambda task: task.name))
    folder = tasks_folder()
    files = sorted(folder.glob("*.yaml")) + sorted(folder.glob("odinw35/*.yaml"))
    if not files:
        raise InputError(f"no task files in '{folder}': the installation is incomplete, install odinw-bench again")
    tasks = [task for file in files if (task := read_task(file, suite=suite)) is not None]
    return tuple(sorted(tasks, key=lambda task: task.name))


def _miniature() -> tuple[Task, ...]:
    """The drawn tasks. Each mirrors the real one of its name, and answers to the names of that."""
    from odinw_bench import mini as miniature

    mirrored = {task.name: task.names for task in _built_in("odinw13")}
    tasks = []
    for name in miniature.task_names():
        recipe = miniature.load_recipe(name)
        tasks.append(
            Task(
                name=name,
                title=recipe.title,
                suite="mini",
                classes=tuple(
                    TaskClass(entry.name, i, entry.manual) for i, entry in enumerate(recipe.classes, start=1)
                ),
                splits={split: SplitPaths("", "", count) for split, count in recipe.images.items()},
                eval_split="val",
                aliases=mirrored.get(name, ()),
                licence="Apache-2.0",
                source=Source("miniature"),
            )
        )
    return tuple(sorted(tasks, key=lambda task: task.name))


def _has(suite: str, name: str) -> bool:
    return any(name.casefold() == known.casefold() for task in _built_in(suite) for known in task.names)


def _is_path(text: str | Path) -> bool:
    """Whether something is meant as a path: it exists, or is written like one."""
    return isinstance(text, Path) or "/" in text or "\\" in text or text.startswith((".", "~")) or Path(text).is_dir()
