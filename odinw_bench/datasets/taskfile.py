"""Task files: YAML -> :class:`odinw_bench.datasets.task.Task`, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from glip_core.errors import InputError, nearest
from odinw_bench.datasets.task import BUILT_IN_SUITES, HubFile, Roboflow, Source, SplitPaths, Task, TaskClass
from odinw_bench.utils.io import read_yaml, stays_inside
from odinw_bench.utils.text import is_text, shorten


def read_task(path: Path, *, suite: str | None = None, root: Path | None = None) -> Task | None:
    """Read a task file.

    Args:
        path: the YAML file.
        suite: the suite to load it for; None: whatever the file says.
        root: for a folder of the user's: the folder that paths are relative to. The file then need not name
            suites.

    Returns:
        the task, or None where the file does not belong to ``suite``.

    Raises:
        InputError: it is not YAML, a key is unknown or missing, or a value is of the wrong type; the message names
            file and key.
    """
    data = read_yaml(path, what="task file")
    where = f"task file '{path}'"
    required = ("name", "title", "classes", "splits", "eval_split")
    optional = ("config", "suites", "aliases", "licence", "source", "fewshot", "notes", "attributes")
    data = _mapping(data, where, required, optional)
    suites = _texts(data.get("suites", []), f"{where}: suites")
    for name in suites:
        if name not in BUILT_IN_SUITES:
            raise InputError(f"{where}: unknown suite {shorten(name)}; there are {', '.join(BUILT_IN_SUITES)}")
    if root is None and suite is not None and suite not in suites:
        return None
    splits = {
        str(name): _split(value, f"{where}: splits.{name}")
        for name, value in _mapping(data["splits"], f"{where}: splits").items()
    }
    eval_split = _text(data["eval_split"], f"{where}: eval_split")
    if eval_split not in splits:
        raise InputError(f"{where}: eval_split '{eval_split}' is not one of the splits: {', '.join(splits)}")
    return Task(
        name=_name(data["name"], f"{where}: name"),
        title=_text(data["title"], f"{where}: title"),
        suite=suite or (suites[0] if suites else ""),
        classes=_classes(data["classes"], f"{where}: classes"),
        splits=splits,
        eval_split=eval_split,
        config=_optional_text(data.get("config"), f"{where}: config"),
        aliases=tuple(_texts(data.get("aliases", []), f"{where}: aliases")),
        licence=_optional_text(data.get("licence"), f"{where}: licence"),
        source=_source(data.get("source", {}), f"{where}: source", "official" if root is None else "folder"),
        fewshot=_fewshot(data.get("fewshot", {}), f"{where}: fewshot", splits),
        root=root,
        attributes={
            str(kind): tuple(_texts(words, f"{where}: attributes.{kind}"))
            for kind, words in _mapping(data.get("attributes", {}), f"{where}: attributes").items()
        },
        notes=tuple(_texts(data.get("notes", []), f"{where}: notes")),
    )


def _classes(value: Any, where: str) -> tuple[TaskClass, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{where} must be a list of classes, not {shorten(value)}")
    classes = []
    for position, entry in enumerate(value):
        place = f"{where}[{position}]"
        entry = _mapping(entry, place, ("id", "name"), ("manual", "synonyms"))
        manual = None
        if entry.get("manual") is not None:
            given = _mapping(entry["manual"], f"{place}.manual", (), ("prefix", "name", "suffix"))
            parts = {"prefix": "", "name": entry["name"], "suffix": "", **given}
            manual = {key: _text(part, f"{place}.manual.{key}", empty=True) for key, part in parts.items()}
        synonyms = tuple(_texts(entry.get("synonyms", []), f"{place}.synonyms"))
        name, number = _text(entry["name"], f"{place}.name"), _whole(entry["id"], f"{place}.id")
        classes.append(TaskClass(name, number, manual, synonyms))
    ids = [entry.category_id for entry in classes]
    if ids != sorted(set(ids)):
        raise InputError(f"{where} must be in the order of their ids, each once, not {shorten(ids)}")
    return tuple(classes)


def _split(value: Any, where: str) -> SplitPaths:
    entry = _mapping(value, where, ("annotations", "images"), ("count",))
    count = entry.get("count")
    return SplitPaths(
        _relative(entry["annotations"], f"{where}.annotations"),
        _relative(entry["images"], f"{where}.images"),
        None if count is None else _whole(count, f"{where}.count"),
    )


def _source(value: Any, where: str, kind: Literal["official", "folder"]) -> Source:
    entry = _mapping(value, where, (), ("hub", "roboflow", "page"))
    hub = roboflow = None
    if entry.get("hub") is not None:
        given = _mapping(entry["hub"], f"{where}.hub", ("repo", "file"))
        hub = HubFile(_text(given["repo"], f"{where}.hub.repo"), _relative(given["file"], f"{where}.hub.file"))
    if entry.get("roboflow") is not None:
        given = _mapping(entry["roboflow"], f"{where}.roboflow", ("workspace", "project"), ("version",))
        version = given.get("version")
        roboflow = Roboflow(
            _text(given["workspace"], f"{where}.roboflow.workspace"),
            _text(given["project"], f"{where}.roboflow.project"),
            None if version is None else _whole(version, f"{where}.roboflow.version"),
        )
    return Source(kind, hub, roboflow, _optional_text(entry.get("page"), f"{where}.page"))


def _fewshot(value: Any, where: str, splits: Mapping[str, SplitPaths]) -> dict[str, str]:
    patterns = {}
    for name, pattern in _mapping(value, where, (), tuple(splits)).items():
        text = _relative(pattern, f"{where}.{name}")
        if "{shots}" not in text or "{seed}" not in text:
            raise InputError(f"{where}.{name} must hold {{shots}} and {{seed}}, not {shorten(text)}")
        patterns[name] = text
    return patterns


def _mapping(
    value: Any, where: str, required: tuple[str, ...] = (), optional: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """A mapping with its keys checked; any keys are allowed where neither required nor optional ones are named."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, not {shorten(value)}")
    known = (*required, *(optional or ()))
    if required or optional is not None:
        for key in value:
            if key not in known:
                raise InputError(f"{where}: unknown key {shorten(key)}{nearest(str(key), known)}")
    for key in required:
        if key not in value:
            raise InputError(f"{where}: '{key}' is missing")
    return dict(value)


def _text(value: Any, where: str, *, empty: bool = False) -> str:
    if not is_text(value):
        raise InputError(f"{where} must be a text, not {shorten(value)}; put it in quotes")
    if not value and not empty:
        raise InputError(f"{where} is empty")
    return str(value)


def _name(value: Any, where: str) -> str:
    """A name that is safe as a folder's and needs no quotes in a shell."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", _text(value, where)):
        raise InputError(f"{where} must be lower-case letters, digits and hyphens, not {shorten(value)}")
    return str(value)


def _optional_text(value: Any, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be a list, not {shorten(value)}")
    return [_text(entry, f"{where}[{number}]") for number, entry in enumerate(value)]


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{where} must be a whole number of at least 0, not {shorten(value)}")
    return value


def _relative(value: Any, where: str) -> str:
    text = _text(value, where)
    if not stays_inside(text):
        raise InputError(f"{where} must be a path below the data root, not {shorten(text)}")
    return text
