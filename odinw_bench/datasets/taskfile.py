"""Task files: YAML -> :class:`odinw_bench.datasets.task.Task`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from odinw_bench.datasets.task import (
    BUILT_IN_SUITES,
    PROMPT_STYLES,
    HubFile,
    Roboflow,
    Source,
    SplitPaths,
    Task,
    TaskClass,
    is_split_name,
)
from odinw_bench.utils.io import read_yaml, stays_inside
from odinw_bench.utils.schema import AnyText, AsMapping, Count, Key, Schema, Text, Texts, check, list_of
from odinw_bench.utils.text import shorten


def _name(value: str) -> str:
    """A name that is safe as a folder's and needs no quotes in a shell."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        raise ValueError(f"must be lower-case letters, digits and hyphens, not {shorten(value)}")
    return value


def _named(splits: dict[str, _Split]) -> dict[str, _Split]:
    for name in splits:
        if not is_split_name(name):
            raise ValueError(f"a split's name must be letters, digits, hyphens and underscores, not {shorten(name)}")
    return splits


def _relative(value: str) -> str:
    if not stays_inside(value):
        raise ValueError(f"must be a path below the data root, not {shorten(value)}")
    return value


def _style(value: str) -> str:
    if value not in PROMPT_STYLES:
        raise ValueError(f"must be {' or '.join(PROMPT_STYLES)}, not {shorten(value)}")
    return value


def _pattern(value: str) -> str:
    if "{shots}" not in value or "{seed}" not in value:
        raise ValueError(f"must hold {{shots}} and {{seed}}, not {shorten(value)}")
    return value


_RelativePath = Annotated[Text, AfterValidator(_relative)]
_Pattern = Annotated[_RelativePath, AfterValidator(_pattern)]


class _Manual(Schema):
    prefix: AnyText = ""
    name: AnyText | None = None
    suffix: AnyText = ""


class _Class(Schema):
    id: Count
    name: Text
    manual: _Manual | None = None
    synonyms: Texts = ()

    def task_class(self) -> TaskClass:
        manual = None
        if self.manual is not None:
            name = self.name if self.manual.name is None else self.manual.name
            manual = {"prefix": self.manual.prefix, "name": name, "suffix": self.manual.suffix}
        return TaskClass(self.name, self.id, manual, self.synonyms)


def _in_order(classes: tuple[_Class, ...]) -> tuple[_Class, ...]:
    ids = [entry.id for entry in classes]
    if ids != sorted(set(ids)):
        raise ValueError(f"must be in the order of their ids, each once, not {shorten(ids)}")
    return classes


class _Split(Schema):
    annotations: _RelativePath
    images: _RelativePath
    count: Count | None = None


class _Hub(Schema):
    repo: Text
    file: _RelativePath


class _Roboflow(Schema):
    workspace: Text
    project: Text
    version: Count | None = None


class _Source(Schema):
    hub: _Hub | None = None
    roboflow: _Roboflow | None = None
    page: Text | None = None


Name = Annotated[Text, AfterValidator(_name)]
Classes = Annotated[tuple[_Class, ...], BeforeValidator(list_of("classes", least=1)), AfterValidator(_in_order)]
Splits = Annotated[dict[Key, _Split], AsMapping, AfterValidator(_named)]


class Described(Schema):
    """What official task files and those of the user's both may say."""

    config: Text | None = None
    suites: Texts = ()
    aliases: Texts = ()
    licence: Text | None = None
    source: _Source = _Source()
    fewshot: Annotated[dict[Key, _Pattern], AsMapping] = Field(default_factory=dict)
    notes: Texts = ()
    prompt_style: Annotated[dict[Key, Annotated[Text, AfterValidator(_style)]], AsMapping] = Field(default_factory=dict)
    attributes: Annotated[dict[Key, Texts], AsMapping] = Field(default_factory=dict)

    def read_source(self, kind: Literal["official", "folder"]) -> Source:
        """Where the data come from."""
        hub, roboflow = self.source.hub, self.source.roboflow
        return Source(
            kind,
            None if hub is None else HubFile(hub.repo, hub.file),
            None if roboflow is None else Roboflow(roboflow.workspace, roboflow.project, roboflow.version),
            self.source.page,
        )


class _TaskFile(Described):
    name: Name
    title: Text
    classes: Classes
    splits: Splits
    eval_split: Text

    @model_validator(mode="after")
    def _check_names(self) -> Any:
        for name in (*self.suites, *self.prompt_style):
            if name not in BUILT_IN_SUITES:
                raise ValueError(f"unknown suite {shorten(name)}; there are {', '.join(BUILT_IN_SUITES)}")
        check_splits(self.splits, self.eval_split, self.fewshot)
        return self


def check_splits(splits: Mapping[str, _Split], eval_split: str | None, fewshot: Mapping[str, str]) -> None:
    """Raise ValueError where something names a split that is none."""
    known = ", ".join(splits)
    if eval_split is not None and eval_split not in splits:
        raise ValueError(f"eval_split '{eval_split}' is not one of the splits: {known}")
    for name in fewshot:
        if name not in splits:
            raise ValueError(f"fewshot: '{name}' is not one of the splits: {known}")


def paths_of(splits: Mapping[str, _Split]) -> dict[str, SplitPaths]:
    """The splits as tasks have them."""
    return {name: SplitPaths(one.annotations, one.images, one.count) for name, one in splits.items()}


def read_task(path: Path, *, suite: str | None = None) -> Task | None:
    """Read a task file of a suite that comes with the program.

    Args:
        path: the YAML file.
        suite: the suite to load it for; None: whatever the file says.

    Returns:
        the task, or None where the file does not belong to ``suite``.

    Raises:
        InputError: it is not YAML, a key is unknown or missing, or a value is of the wrong type; the message names
            file and key.
    """
    file = check(_TaskFile, read_yaml(path, what="task file"), f"task file '{path}'")
    if suite is not None and suite not in file.suites:
        return None
    return Task(
        name=file.name,
        title=file.title,
        suite=suite or (file.suites[0] if file.suites else ""),
        classes=tuple(entry.task_class() for entry in file.classes),
        splits=paths_of(file.splits),
        eval_split=file.eval_split,
        config=file.config,
        aliases=file.aliases,
        licence=file.licence,
        source=file.read_source("official"),
        fewshot=file.fewshot,
        prompt_style="written" if file.prompt_style.get(suite or "") == "written" else "names",
        attributes=file.attributes,
        notes=file.notes,
    )
