"""The packages that only exports need."""

from __future__ import annotations

import importlib
from typing import Any

from glip_core.errors import InputError


def need(module: str) -> Any:
    """A module of the extra ``export``.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(f"{package} is not installed: pip install 'odinw-bench[export]'") from error
