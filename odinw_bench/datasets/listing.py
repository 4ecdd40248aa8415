"""What ``odinw-bench data`` answers, as data; the command line prints it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from odinw_bench.datasets.registry import load_suite
from odinw_bench.datasets.sources import is_present
from odinw_bench.datasets.task import Task


@dataclass(frozen=True)
class DataRow:
    """One task of a suite.

    Attributes:
        name: short name.
        title: name for tables.
        classes: names of the classes, in the order of their ids.
        images: number of images by split, as its task file says; None where it does not.
        present: whether its splits can be opened now: all of them, some, or none.
        licence: of the data; None: not known.
        source: where it comes from, in words.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    images: dict[str, int | None]
    present: Literal["yes", "partly", "no"]
    licence: str | None
    source: str


def list_table(suite: str | Path = "odinw13", data_root: Path | str | None = None) -> list[DataRow]:
    """The tasks of a suite and whether their data are here.

    Args:
        suite: see :func:`odinw_bench.datasets.registry.load_suite`.
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.

    Returns:
        a row per task, sorted by name.

    Raises:
        InputError: see :func:`odinw_bench.datasets.registry.load_suite`.
    """
    return [_row(task, data_root) for task in load_suite(suite)]


def _row(task: Task, data_root: Path | str | None) -> DataRow:
    here = [is_present(task, split, data_root) for split in task.splits]
    return DataRow(
        name=task.name,
        title=task.title,
        classes=tuple(task.class_names),
        images={split: paths.count for split, paths in task.splits.items()},
        present="yes" if all(here) else "partly" if any(here) else "no",
        licence=task.licence,
        source=_source_in_words(task),
    )


def _source_in_words(task: Task) -> str:
    if task.source.kind == "miniature":
        return "drawn"
    if task.root is not None:
        return str(task.root)
    parts = []
    if task.source.hub is not None:
        parts.append(f"hub {task.source.hub.repo}/{task.source.hub.file}")
    if task.source.roboflow is not None:
        roboflow = task.source.roboflow
        version = f"/{roboflow.version}" if roboflow.version is not None else ""
        parts.append(f"roboflow {roboflow.workspace}/{roboflow.project}{version}")
    return ", ".join(parts) or "not known"
