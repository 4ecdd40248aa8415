"""What a long run leaves behind while it goes on, so that a killed one need not begin again."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

OVERHEAD = 0.05
"""Share of a run's time that saving may take."""


class Resume:
    """The state of one unfinished run, in one file that is replaced whole.

    Args:
        path: the file; None keeps nothing.
        identity: of the run; a state of another one is not taken up.
        overhead: share of the time that saving may take. A state of kilobytes is thus kept after every epoch, one
            of gigabytes now and then.
        read_only: take a state up, keep none.
    """

    def __init__(
        self, path: Path | None = None, identity: str = "", *, overhead: float = OVERHEAD, read_only: bool = False
    ) -> None:
        self.read_only = read_only
        self.path, self.identity, self.overhead = path, identity, overhead
        self._not_before = 0.0

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None where there is none that can be used."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
            return None  # damaged: the run begins anew
        if not isinstance(content, dict) or content.get("identity") != self.identity:
            return None
        return dict(content["state"])

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save a state, unless the last saving was too costly and too recent."""
        if self.path is None or self.read_only or time.perf_counter() < self._not_before:
            return
        started = time.perf_counter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary.open("wb") as stream:  # given a path, torch has no word for a full disk
            torch.save({"identity": self.identity, "state": state()}, stream)
        self._temporary.replace(self.path)
        ended = time.perf_counter()
        self._not_before = ended + (ended - started) * (1 / self.overhead - 1)

    def clear(self) -> None:
        """Forget the state: the run is over."""
        if self.path is not None and not self.read_only:
            self.path.unlink(missing_ok=True)
            self._temporary.unlink(missing_ok=True)

    @property
    def _temporary(self) -> Path:
        """Always the same name: what a killed process left half-written is overwritten, never piled up."""
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.tmp")
