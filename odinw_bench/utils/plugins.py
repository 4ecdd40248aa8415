"""What other packages add to the program: objects named as ``PACKAGE.MODULE:NAME``, or declared as entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.utils.text import shorten


def declared(group: str) -> Mapping[str, str]:
    """What installed packages declare in a group of entry points: name -> ``PACKAGE.MODULE:NAME``, sorted by name."""
    return dict(sorted((point.name, point.value) for point in entry_points(group=group)))


def class_target(cls: type) -> str:
    """A class as ``PACKAGE.MODULE:NAME``, by which :func:`load_object` finds it again."""
    return f"{cls.__module__}:{cls.__qualname__}"


def load_object(target: str, what: str, *, here: bool = True) -> Any:
    """The object behind ``PACKAGE.MODULE:NAME``.

    Args:
        target: module and name, with a colon between them.
        what: what is looked for, in words, for the message.
        here: modules in the current folder are found too, after all installed ones. For what the user names alone: a
            built-in name must not import whatever lies in the current folder.

    Raises:
        InputError: it is not of that form, or cannot be imported.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise InputError(f"a {what} is given as PACKAGE.MODULE:NAME, not {shorten(target)}")
    folder = str(Path.cwd())
    if here and folder not in sys.path:
        sys.path.append(folder)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"the {what} '{target}' cannot be imported: {error}") from error
