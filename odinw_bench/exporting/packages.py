"""The packages that only exports need."""

from __future__ import annotations

import importlib
from typing import Any

from glip_core.errors import InputError

_EXTRAS = {"peft": "peft"}  # all others are of "export"


def need(module: str) -> Any:
    """A module of the extras ``export`` and ``peft``.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        extra = _EXTRAS.get(package, "export")
        raise InputError(f"{package} is not installed: pip install 'odinw-bench[{extra}]'") from error
