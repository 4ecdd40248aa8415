"""Task files of the user's own: every key may be left out, and what is missing is found in the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import Field, model_validator

from glip_core.errors import InputError
from odinw_bench.datasets.forms import SPLIT_SEED, find_form
from odinw_bench.datasets.task import Exif, Source, SplitPaths, TaskClass
from odinw_bench.datasets.taskfile import Classes, Described, Name, Splits, check_splits, paths_of
from odinw_bench.utils.io import read_yaml
from odinw_bench.utils.schema import Count, Text, check
from odinw_bench.utils.text import shorten


class _OwnFile(Described):
    """A task file of the user's: what it does not say is found in the data."""

    name: Name | None = None
    title: Text | None = None
    classes: Classes = ()
    splits: Splits = Field(default_factory=dict)
    eval_split: Text | None = None
    root: Text | None = None
    form: Text | None = None
    exif: Text | None = None
    split_seed: Count = SPLIT_SEED

    @model_validator(mode="after")
    def _check_names(self) -> Any:
        if self.splits:
            check_splits(self.splits, self.eval_split, self.fewshot)
        if self.exif not in (None, "apply", "ignore"):
            raise ValueError(f"exif must be apply or ignore, not {shorten(self.exif)}")
        return self


@dataclass(frozen=True)
class OwnTask:
    """What a task file of the user's says; see :class:`~odinw_bench.datasets.task.Task` for what it shares with that.

    Attributes:
        root: folder of the data, relative to the file.
        split_seed: of splits that are made.
    """

    name: str | None = None
    title: str | None = None
    classes: tuple[TaskClass, ...] = ()
    splits: Mapping[str, SplitPaths] = field(default_factory=dict)
    eval_split: str | None = None
    aliases: tuple[str, ...] = ()
    config: str | None = None
    licence: str | None = None
    source: Source = field(default_factory=lambda: Source("folder"))
    fewshot: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    root: str | None = None
    form: str | None = None
    exif: Exif | None = None
    split_seed: int = SPLIT_SEED


def is_task_file(path: Path) -> bool:
    """Whether a YAML file looks like a task: it names classes, splits or the folder of the data."""
    try:
        content = read_yaml(path)
    except InputError:
        return False
    return isinstance(content, Mapping) and bool({"classes", "splits", "root"} & set(content))


def read_own_task(path: Path) -> OwnTask:
    """Read a task file of the user's. Every key may be left out; what is missing is found in the data.

    Raises:
        InputError: see :func:`read_task`.
    """
    file = check(_OwnFile, read_yaml(path, what="task file"), f"task file '{path}'")
    return OwnTask(
        name=file.name,
        title=file.title,
        classes=tuple(entry.task_class() for entry in file.classes),
        splits=paths_of(file.splits),
        eval_split=file.eval_split,
        aliases=file.aliases,
        config=file.config,
        licence=file.licence,
        source=file.read_source("folder"),
        fewshot=file.fewshot,
        notes=file.notes,
        attributes=file.attributes,
        root=file.root,
        form=None if file.form is None else find_form(file.form).name,
        exif=cast("Exif | None", file.exif),
        split_seed=file.split_seed,
    )
