"""The prompt of a run: plain names, a task's or a file's attributes, or what the user typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from glip_core.errors import InputError, nearest
from glip_core.prompt import SEPARATOR, Prompt
from odinw_bench.datasets.task import PromptStyle, Task
from odinw_bench.utils.io import read_yaml
from odinw_bench.utils.schema import AnyText, Key, Schema, Text, check, list_of
from odinw_bench.utils.text import shorten


def prompt_style(task: Task, mode: str, style: PromptStyle | None, attributes: str | None = None) -> PromptStyle:
    """The style of prompt that is in force.

    Args:
        task: a task without hand-written attributes has its names alone.
        mode: ``manual`` is ``written`` by definition.
        style: asked for; None: that of the suite's official task file.
        attributes: see :func:`task_prompt`.
    """
    wanted = "written" if mode == "manual" else style or task.prompt_style
    return "written" if wanted == "written" and (task.has_manual or attributes or mode == "manual") else "names"


def task_prompt(task: Task, mode: str, attributes: str | None = None, *, style: PromptStyle | None = "names") -> Prompt:
    """The prompt of a task in a mode.

    Args:
        task: gives the classes and their hand-written attributes.
        mode: ``manual`` uses attributes, every other mode what ``style`` says.
        attributes: a file with parts that stand in for the task's own (see :func:`read_attributes`).
        style: see :func:`prompt_style`.

    Raises:
        InputError: ``manual`` without any attributes, or an unusable file.
    """
    if prompt_style(task, mode, style, attributes) == "names":
        return Prompt.from_classes(task.class_names)
    if attributes is not None:
        return read_attributes(Path(attributes), task.class_names)
    if not task.has_manual:
        raise InputError(f"task '{task.name}' has no hand-written prompt: give --attributes FILE for the mode 'manual'")
    return Prompt.from_parts(task.prompt_parts())


class _Part(Schema):
    prefix: AnyText = ""
    name: AnyText | None = None
    suffix: AnyText = ""

    def for_class(self, name: str) -> dict[str, str]:
        """The part as a prompt takes it; it shows the class's own name unless it gives another."""
        return {"prefix": self.prefix, "name": name if self.name is None else self.name, "suffix": self.suffix}


class _Parts(Schema):
    parts: Annotated[tuple[_Part, ...], BeforeValidator(list_of("parts"))]
    separator: Text = SEPARATOR
    order: Annotated[tuple[Key, ...], BeforeValidator(list_of("class names"))] | None = None


def read_attributes(path: Path, class_names: Sequence[str]) -> Prompt:
    """A prompt from a YAML or JSON file: class name -> ``{prefix, name, suffix}``, or such a list under ``parts``.

    A class that a mapping leaves out keeps its plain name. Beside ``parts`` there may be ``separator`` (what stands
    between two classes) and ``order`` (class names, in the order in which the caption is to name them).

    Raises:
        InputError: the file is missing or no mapping, names an unknown class, or has an unknown key.
    """
    content, where = read_yaml(path, what="attributes file"), f"attributes file '{path}'"
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must map class names to prefix, name and suffix")
    if isinstance(content.get("parts"), list):
        return _listed(content, class_names, where)
    for name in content:
        if name not in class_names:
            raise InputError(f"{where}: unknown class {shorten(name)}{nearest(str(name), class_names)}")
    given = [{} if content.get(name) is None else content[name] for name in class_names]
    parts = [check(_Part, part, f"{where}: {name}") for part, name in zip(given, class_names, strict=True)]
    return Prompt.from_parts([part.for_class(name) for part, name in zip(parts, class_names, strict=True)])


def _listed(content: Mapping[str, Any], class_names: Sequence[str], where: str) -> Prompt:
    file = check(_Parts, content, where)
    if len(file.parts) != len(class_names):
        raise InputError(f"{where} has {len(file.parts)} parts for {len(class_names)} classes")
    if file.order is not None and sorted(file.order) != sorted(class_names):
        raise InputError(f"{where}: order must name each class once: {', '.join(class_names)}")
    made = [part.for_class(name) for part, name in zip(file.parts, class_names, strict=True)]
    positions = None if file.order is None else [class_names.index(name) for name in file.order]
    return Prompt.from_parts(made, separator=file.separator, order=positions)


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """A prompt as ``prompt.json`` holds it."""
    return {"caption": prompt.caption, "spans": [list(span) for span in prompt.spans], "names": list(prompt.names)}


def prompt_from_json(data: Mapping[str, Any]) -> Prompt:
    """Inverse of :func:`prompt_to_json`.

    Raises:
        InputError: fields are missing or of the wrong kind.
    """
    try:
        spans = tuple((int(start), int(end)) for start, end in data["spans"])
        return Prompt(str(data["caption"]), spans, tuple(map(str, data["names"])))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"prompt.json is damaged: {shorten(str(error))}") from error
