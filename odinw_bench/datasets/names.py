"""Names of data sets: each once, and two folders of one name distinguished by their paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.task import Task
from odinw_bench.utils.text import slug


def identity(task: Task) -> tuple[str, ...]:
    """What makes a data set one: its path, however it was written; else its suite and name."""
    return (task.place,) if task.place is not None else (task.suite, task.name)


def load_tasks(names: Iterable[str | Path], suite: str | Path = "odinw13") -> list[Task]:
    """The tasks of some names, in their order; one that is named twice, in any spelling, counts once.

    Args:
        names: see :func:`odinw_bench.datasets.registry.load_task`.
        suite: where to look them up.

    Raises:
        InputError: there is no such task or folder, or it is unusable.
    """
    found: dict[tuple[str, ...], Task] = {}
    for name in names:
        task = load_task(name, suite)
        found.setdefault(identity(task), task)
    return list(found.values())


def task_labels(tasks: Sequence[Task]) -> list[str]:
    """What to call tasks side by side; see :func:`unique_names`."""
    return unique_names([(task.name, task.place or "") for task in tasks])


def unique_names(places: Sequence[tuple[str, str]]) -> list[str]:
    """Names that tell data sets apart.

    A name that only one folder has stays as it is. Others get as many folders of their path, from its end, as tell
    them apart: ``a/pets`` and ``b/pets`` become ``a-pets`` and ``b-pets``.

    Args:
        places: (name, path of the folder) of each; an empty path: not known, or no folder of its own.

    Returns:
        a name for each; the same place has the same name, and where paths are known different places never do.
    """
    folders: dict[str, list[str]] = {}
    for name, path in places:
        if path not in folders.setdefault(name, []):
            folders[name].append(path)
    named: dict[tuple[str, str], str] = {}
    for name, paths in folders.items():
        for path, label in zip(paths, _labels(name, paths), strict=True):
            named[name, path] = label
    taken = Counter(named.values())
    for (name, path), label in named.items():
        if taken[label] > 1 and path:  # such as the folders a/pets, b/pets and a-pets
            named[name, path] = slug(f"{label} {path}", unique=True)
    return [named[place] for place in places]


def _labels(name: str, paths: Sequence[str]) -> list[str]:
    if len(paths) == 1:
        return [name]
    parts = [Path(path).parts for path in paths]
    for length in range(1 + ("" in paths), max(map(len, parts)) + 1):
        tails = [slug("-".join(part[-length:])) for part in parts]
        if len({*tails}) == len(tails):
            break
    return [
        name if not path else tail if tail == name or tail.endswith(f"-{name}") else f"{tail}-{name}".lstrip("-")
        for path, tail in zip(paths, tails, strict=True)
    ]
