"""The loggers by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from glip_core.errors import InputError
from odinw_bench.runs.loggers.base import RunLogger
from odinw_bench.utils.plugins import declared, load_object

GROUP = "odinw_bench.loggers"
"""Entry points by which other packages add theirs."""

LOGGERS: Mapping[str, str] = {
    "tensorboard": "odinw_bench.runs.loggers.tensorboard:TensorBoardLogger",
    "wandb": "odinw_bench.runs.loggers.wandb:WandbLogger",
    "mlflow": "odinw_bench.runs.loggers.mlflow:MlflowLogger",
    "trackio": "odinw_bench.runs.loggers.trackio:TrackioLogger",
}
"""Those of the program; each needs the package, and pip extra, of its name."""


def find_logger(name: str) -> type[RunLogger]:
    """The logger of a name, or behind ``PACKAGE.MODULE:CLASS``.

    Raises:
        InputError: there is none, or the package that it needs is not installed.
    """
    if name in LOGGERS:
        if find_spec(name) is None:
            raise InputError(f"--log {name} needs a package: pip install 'odinw-bench[{name}]'")
        return load_object(LOGGERS[name], "logger", here=False)
    others = declared(GROUP)
    if name not in others and ":" not in name:
        known = ", ".join([*LOGGERS, *others])
        raise InputError(f"unknown logger '{name}' (known: {known}); or PACKAGE.MODULE:CLASS")
    return load_object(others.get(name, name), "logger", here=name not in others)
