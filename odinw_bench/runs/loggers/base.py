"""What a logger is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PROJECT = "odinw-bench"
"""The project or experiment of all runs."""


@dataclass(frozen=True)
class LoggedRun:
    """The run that is logged.

    Attributes:
        name: ``suite/model/dataset/mode-shots-seed-digest``, as below the results folder.
        digest: identifies it; a run that goes on after an interruption has the same.
        config: its spec and hyper-parameters, with ``.`` in the names of inner ones.
        folder: below the results folder, for loggers that write files; need not be there.
    """

    name: str
    digest: str
    config: Mapping[str, str | int | float | bool | None]
    folder: Path

    @property
    def group(self) -> str:
        """All runs of one suite, model and data set."""
        return self.name.rpartition("/")[0]


class RunLogger(Protocol):
    """Writes down one run. Made when the run begins.

    Args:
        run: what is logged.
    """

    def __init__(self, run: LoggedRun) -> None: ...

    def write(self, values: Mapping[str, float], epoch: int) -> None:
        """Losses, learning rate and AP on the validation split after an epoch, from 1.

        An epoch may be written again with the same values, when a run goes on after an interruption.
        """
        ...

    def end(self, values: Mapping[str, float], error: str | None) -> None:
        """Metrics (``test/AP`` ...) and cost of the finished run; ``error`` says in a line why it failed."""
        ...
