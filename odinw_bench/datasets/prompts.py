"""The prompt of a run: plain names, a task's or a file's attributes, or what the user typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.prompt import SEPARATOR, Prompt
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import read_yaml
from odinw_bench.utils.text import shorten

_PART_KEYS = ("prefix", "name", "suffix")


def task_prompt(task: Task, mode: str, attributes: str | None = None) -> Prompt:
    """The prompt of a task in a mode.

    Args:
        task: gives the classes and their hand-written attributes.
        mode: ``manual`` uses attributes, every other mode the plain names.
        attributes: a file with parts that stand in for the task's own (see :func:`read_attributes`).

    Raises:
        InputError: ``manual`` without any attributes, or an unusable file.
    """
    if mode != "manual":
        return Prompt.from_classes(task.class_names)
    if attributes is not None:
        return read_attributes(Path(attributes), task.class_names)
    if not task.has_manual:
        raise InputError(f"task '{task.name}' has no hand-written prompt: give --attributes FILE for the mode 'manual'")
    return Prompt.from_parts(task.prompt_parts())


def read_attributes(path: Path, class_names: Sequence[str]) -> Prompt:
    """A prompt from a YAML or JSON file: class name -> ``{prefix, name, suffix}``, or such a list under ``parts``.

    A class that a mapping leaves out keeps its plain name. Beside ``parts`` there may be ``separator`` (what stands
    between two classes) and ``order`` (class names, in the order in which the caption is to name them).

    Raises:
        InputError: the file is missing or no mapping, names an unknown class, or has an unknown key.
    """
    content = read_yaml(path, what="attributes file")
    if isinstance(content, Mapping) and isinstance(content.get("parts"), list):
        return _listed(content, class_names, path)
    if not isinstance(content, Mapping):
        raise InputError(f"attributes file '{path}' must map class names to prefix, name and suffix")
    for name in content:
        if name not in class_names:
            raise InputError(
                f"attributes file '{path}': unknown class {shorten(name)}; classes: {', '.join(class_names)}"
            )
    given = {name: {} if content.get(name) is None else content[name] for name in class_names}
    return Prompt.from_parts([_part(entry, name, path) for name, entry in given.items()])


def _listed(content: Mapping[str, Any], class_names: Sequence[str], path: Path) -> Prompt:
    parts, separator, order = content["parts"], content.get("separator", SEPARATOR), content.get("order")
    if len(parts) != len(class_names):
        raise InputError(f"attributes file '{path}' has {len(parts)} parts for {len(class_names)} classes")
    if not isinstance(separator, str) or not separator:
        raise InputError(f"attributes file '{path}': separator must be text, not {shorten(separator)}")
    if order is not None and (not isinstance(order, list) or sorted(map(str, order)) != sorted(class_names)):
        raise InputError(f"attributes file '{path}': order must name each class once: {', '.join(class_names)}")
    made = [_part(part, name, path) for part, name in zip(parts, class_names, strict=True)]
    positions = None if order is None else [class_names.index(name) for name in order]
    return Prompt.from_parts(made, separator=separator, order=positions)


def _part(entry: Any, name: str, path: Path) -> dict[str, str]:
    if not isinstance(entry, Mapping):
        raise InputError(f"attributes file '{path}': {shorten(name)} must be a mapping, not {shorten(entry)}")
    for key, value in entry.items():
        if key not in _PART_KEYS:
            raise InputError(
                f"attributes file '{path}': unknown key {shorten(key)} of {shorten(name)}; known: prefix, name, suffix"
            )
        if not isinstance(value, str):
            raise InputError(f"attributes file '{path}': {key} of {shorten(name)} must be text, not {shorten(value)}")
    return {"prefix": "", "name": name, "suffix": "", **entry}


def typed_prompt(text: str) -> Prompt:
    """A prompt from one line: classes separated by ``.`` or ``;``; what follows a comma is an attribute.

    ``"stingray, which is flat and round. fish"`` names the classes stingray and fish.

    Raises:
        InputError: no class is left.
    """
    parts = []
    for piece in text.replace(";", ".").split("."):
        name, comma, rest = piece.strip().partition(",")
        if name.strip():
            parts.append({"name": name.strip(), "suffix": comma + rest})
    if not parts:
        raise InputError(f'the prompt {shorten(text)} names no class; write for example "fish. stingray"')
    return Prompt.from_parts(parts)


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
