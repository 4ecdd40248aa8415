"""What advice is asked for, and how much time it may take."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.models import find_mode
from odinw_bench.runs.spec import Shots
from odinw_bench.utils.text import shorten

DEFAULT_MODES = (
    "zero-shot",
    "manual",
    "prompt",
    "linear",
    "bias",
    "lora",
    "prompt+lora",
    "full",
)
"""The ways that are compared, from cheap to dear."""

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class AdviceSettings:
    """What to advise on, within what.

    Attributes:
        data: the path of a data set in any form, or the name of a task of ``suite``.
        budget_seconds: within which the answer is to come.
        models: detectors to compare.
        modes: tuning modes to compare; those that a model or the data do not have are left out.
        suite: where to look ``data`` up where it is a name.
        shots: images per class of the training split to use; ``"all"``.
        seed: of subset, folds and training.
        results: folder of the records; the folds lie in its ``advice/``.
        data_root: folder of the official data.
        device: ``auto``, ``cpu``, ``cuda[:N]`` or ``mps``.
        retention: data sets that the recommended way is asked zero-shot, before tuning and after; see
            :class:`odinw_bench.RunSpec`.

    Raises:
        InputError: the budget is not above 0, there is no model or no mode, a mode is unknown, or one that tunes is to
            do so on no images.
    """

    data: str
    budget_seconds: float = 600.0
    models: Sequence[str] = ("glip-nano",)
    modes: Sequence[str] = DEFAULT_MODES
    suite: str = "mini"
    shots: Shots = "all"
    seed: int = 3
    results: Path = field(default_factory=lambda: Path("results"))
    data_root: Path | None = None
    device: str = "auto"
    retention: Sequence[str] = ("mini",)

    def __post_init__(self) -> None:
        if not 0 < self.budget_seconds < float("inf"):
            raise InputError(f"the budget must be above 0 seconds, not {shorten(self.budget_seconds)}")
        if not self.models or not self.modes:
            raise InputError("give at least one model and one mode to advise on")
        tuned = next((mode for mode in self.modes if find_mode(mode).tunes), None)
        if self.shots == 0 and tuned is not None:
            raise InputError(f"mode '{tuned}' tunes on labelled images: --shots must be 1 or more, or 'all'")


def parse_seconds(text: str) -> float:
    """Seconds of a text such as ``10m``, ``1h30m``, ``90s`` or ``600``.

    Raises:
        InputError: it is none.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        raise InputError(f"--budget wants a time such as 10m, 1h30m or 90s, not {shorten(text)}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))


class OutOfTime(BaseException):  # like KeyboardInterrupt: a run that it ends is not a failed one
    """A run is stopped because the time for it is over; asked for again it resumes from its last epoch."""


class Budget:
    """A budget of time that begins now.

    Args:
        seconds: in all.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._start

    def left(self, share: float = 1.0) -> float:
        """Seconds until a share of the budget is spent; below 0 where more is."""
        return share * self.seconds - self.spent
