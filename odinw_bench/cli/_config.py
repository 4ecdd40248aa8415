"""Options from a file (``run --config grid.yaml``): its keys are the command's long options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from glip_core.errors import InputError, nearest
from odinw_bench.utils.io import read_yaml
from odinw_bench.utils.text import shorten, shorten_text

_NOT_IN_A_FILE = ("config", "help", "dry-run", "json", "debug")
"""Options that say what to do with the grid rather than what it is."""


GRIDS = "odinw_bench.grids"
"""Where a context keeps the grids that its file lists: pairs of a name and values by the command's parameters."""

_IN_A_GRID = (
    *("model", "suite", "dataset", "mode", "shots", "seed", "protocol", "weights", "attributes", "set"),
    *("precision", "eval-split", "prompt-style", "retention"),
)


def take_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a file's values the defaults of a command; what is given on the command line goes before them.

    A file for ``run`` may list several grids under ``grids``, each with a ``name`` and the options in which it differs
    from the others; they are kept under :data:`GRIDS`.

    Args:
        context: of the command.
        path: a YAML (or JSON) file that maps long options without their dashes to values, or what
            ``run --dry-run --json`` printed, whose ``grid`` is such a mapping. Paths in it are relative to the current
            folder, as on the command line.

    Returns:
        the path.

    Raises:
        InputError: the file is missing or no such mapping, or a key or value is none of the command's.
    """
    if path is not None:
        values, grids = grids_of(context, path)
        context.default_map = dict(context.default_map or {}) | values
        context.meta[GRIDS] = grids
    return path


def grids_of(context: typer.Context, path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """A file's values by the names of the command's parameters, and those of each grid that it lists with its name.

    Raises:
        InputError: see :func:`take_config`.
    """
    content = read_yaml(path, what="config file")
    if isinstance(content, Mapping) and isinstance(content.get("grid"), Mapping):
        content = content["grid"]
    if not isinstance(content, Mapping):
        raise InputError(f"config file '{path}' must map options to values, such as 'mode: [prompt, full]'")
    listed = content.get("grids", [])
    is_grid = any(isinstance(one, TyperOption) and "--mode" in one.opts for one in context.command.params)
    if "grids" not in content or not is_grid:  # another command's file knows no such key
        return _values(context, path, content), []
    if not isinstance(listed, list) or not listed or not all(isinstance(one, Mapping) for one in listed):
        raise InputError(f"config file '{path}': grids must list mappings of options, each with a name")
    common = _values(context, path, {key: value for key, value in content.items() if key != "grids"})
    grids = []
    for number, one in enumerate(listed, start=1):
        inner = one["grid"] if isinstance(one.get("grid"), Mapping) else one
        name = str(one.get("name") or f"grid {number}")
        entry = {key: value for key, value in inner.items() if inner is not one or key != "name"}
        for key in entry:
            if str(key).replace("_", "-") not in _IN_A_GRID:
                raise InputError(f"config file '{path}', {name}: {shorten(key)} is not an option of one grid alone")
        grids.append((name, _values(context, path, entry)))
    return common, grids


def _values(context: typer.Context, path: Path, content: Mapping[Any, Any]) -> dict[str, Any]:
    known = {
        name.removeprefix("--"): option
        for option in context.command.params
        if isinstance(option, TyperOption)
        for name in option.opts
        if name.startswith("--") and name.removeprefix("--") not in _NOT_IN_A_FILE
    }
    values: dict[str, Any] = {}
    for key, value in content.items():
        option = known.get(str(key).replace("_", "-"))
        if option is None:
            raise InputError(f"config file '{path}': unknown key {shorten(key)}{nearest(str(key), known)}")
        if option.name in values:
            raise InputError(f"config file '{path}' gives {shorten(key)} twice")
        if value is not None and option.name is not None:
            try:
                values[option.name] = _value(context, option, value)
            except typer.BadParameter as error:
                raise InputError(f"config file '{path}': {key}: {shorten_text(error.message)}") from error
            except ValueError as error:
                raise InputError(f"config file '{path}': {key} wants {error}, not {shorten(value)}") from error
    return values


def _value(context: typer.Context, option: TyperOption, value: Any) -> Any:
    """A value as the command line would give it.

    Raises:
        ValueError: it is of another kind; the message says which is wanted.
        typer.BadParameter: it is refused as on the command line.
    """
    if option.is_flag:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if not option.multiple:
        text = _text(value)
        option.type.convert(text, option, context)
        return text
    if isinstance(value, Mapping):
        return [f"{_text(name)}={_joined(inner)}" for name, inner in value.items()]
    return [_text(inner) for inner in (value if isinstance(value, list) else [value])]


def _joined(value: Any) -> str:
    """The value of a hyper-parameter; several numbers are written with slashes, as after ``--set``."""
    if isinstance(value, bool):
        return str(value).lower()
    return "/".join(_text(part) for part in value) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a text or a number")
    return str(value)
