"""The loggers of one run together."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odinw_bench.runs.loggers.base import LoggedRun, RunLogger
from odinw_bench.runs.loggers.table import find_logger

if TYPE_CHECKING:
    from odinw_bench.runs.cell import Cell

_log = logging.getLogger(__name__)


class Loggers:
    """Hands everything to each logger; one that raises is named in a warning and left out from there on.

    Args:
        loggers: by name.
    """

    def __init__(self, loggers: Mapping[str, RunLogger]) -> None:
        self.loggers = dict(loggers)
        self.ended = False

    def epoch(self, line: Mapping[str, Any]) -> None:
        """A line of the history."""
        if not self.loggers:
            return
        values = {f"loss/{name}": value for name, value in line["losses"].items()}
        values |= {"loss": sum(line["losses"].values()), "lr": line["lr"], "seconds": line["seconds"]}
        if line["validation_AP"] is not None:
            values["validation/AP"] = line["validation_AP"]
        self._each(lambda logger: logger.write(_finite(values), line["epoch"]))

    def end(self, record: Mapping[str, Any]) -> None:
        """The record of the run."""
        self.ended = True
        metrics, cost = record["metrics"] or {}, record["cost"] or {}
        values = {f"test/{name}": value for name, value in metrics.items() if name != "per_class"}
        values |= {f"test/AP/{name}": value for name, value in (metrics.get("per_class") or {}).items()}
        values |= {f"cost/{name}": value for name, value in cost.items()}
        self._each(lambda logger: logger.end(_finite(values), record["error"]))

    def stop(self, error: str) -> None:
        """The run ended without a record, unless it has one."""
        if not self.ended:
            self._each(lambda logger: logger.end({}, error))

    def _each(self, call: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self.loggers.items()):
            try:
                call(logger)
            except Exception as error:  # a service that is away costs no training
                _log.warning("--log %s: left out from here on: %s: %s", name, type(error).__name__, error)
                del self.loggers[name]


NO_LOGGERS = Loggers({})


@contextmanager
def logging_to(names: Sequence[str], cell: Cell, results: Path) -> Iterator[Loggers]:
    """The loggers of a run while it is done.

    Args:
        names: of the loggers.
        cell: the run.
        results: folder of the records.

    Raises:
        InputError: see :func:`~odinw_bench.runs.loggers.table.find_logger`.
    """
    made = {}
    for name in dict.fromkeys(names):
        kind = find_logger(name)
        path = cell.folder.relative_to(results) if cell.folder.is_relative_to(results) else Path(cell.folder.name)
        run = LoggedRun(path.as_posix(), cell.digest, _config(cell), results / "logs" / name.replace(":", "-"))
        try:
            made[name] = kind(run)
        except Exception as error:
            _log.warning("--log %s: left out: %s: %s", name, type(error).__name__, error)
    loggers = Loggers(made)
    try:
        yield loggers
    except BaseException as error:
        loggers.stop(f"{type(error).__name__}: {error}")
        raise


def _config(cell: Cell) -> dict[str, Any]:
    spec = cell.spec.to_json() | {"suite": cell.task.suite, "dataset": cell.task.name}
    settings = cell.settings.to_json() if cell.settings else {}
    return {
        **{name: value if _is_plain(value) else str(value) for name, value in spec.items()},
        **{f"settings.{name}": value if _is_plain(value) else str(value) for name, value in settings.items()},
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among some values."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
