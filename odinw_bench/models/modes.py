"""Which tuning modes there are: those of :mod:`glip_core.modes`, and those of other packages."""

from __future__ import annotations

import re
from functools import lru_cache

from glip_core import modes
from glip_core.errors import InputError, nearest
from glip_core.modes import TuningMode
from odinw_bench.utils.plugins import declared, load_object
from odinw_bench.utils.text import shorten

GROUP = "odinw_bench.modes"
"""Entry points of other packages' modes."""

MODES = tuple(modes.MODES)
UNTUNED = tuple(name for name, mode in modes.MODES.items() if not mode.tunes)
TEXT_MODES = tuple(name for name, mode in modes.MODES.items() if mode.needs_text)


@lru_cache(maxsize=1)
def known_modes() -> dict[str, TuningMode]:
    """The modes by name, our own first.

    Raises:
        InputError: a mode that a package declares cannot be imported.
    """
    return {**{name: _import(target) for name, target in declared(GROUP).items()}, **modes.MODES}


def find_mode(name: str) -> TuningMode:
    """The mode of a name, or of a class as ``PACKAGE.MODULE:CLASS``.

    Raises:
        InputError: there is none, or it cannot be used.
    """
    if ":" in name:
        return _import(name)
    known = known_modes()
    if name not in known:
        raise InputError(f"unknown mode '{name}'{nearest(name, known)}; or PACKAGE.MODULE:CLASS")
    return known[name]


@lru_cache(maxsize=64)
def _import(target: str) -> TuningMode:
    found = load_object(target, "mode")
    if not (isinstance(found, type) and issubclass(found, TuningMode)):
        raise InputError(f"'{target}' is no subclass of glip_core.modes.TuningMode")
    mode = found()
    check_name(getattr(mode, "name", ""), target)
    if mode.name in modes.MODES or not mode.tunes:
        reason = "tunes nothing" if not mode.tunes else f"has the name of another mode, '{mode.name}'"
        raise InputError(f"the mode '{target}' {reason}")
    return mode


def check_name(name: str, target: str) -> None:
    """Check the name of a class of another package, which becomes a part of folders' names.

    Raises:
        InputError: it has other characters.
    """
    if not re.fullmatch(r"[a-z0-9]+([.+-][a-z0-9]+)*", name):
        raise InputError(f"'{shorten(target)}'.name must be lower-case letters, digits, hyphens and dots")
