"""Tests that take hours: what was found so far is kept, so that a killed one resumes at the next image."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from glip_core.files import file_sha256
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.checkpoint import Resume

PATIENCE = 20.0
"""Seconds of testing before what was found is kept for the first time: what takes no longer is not worth it."""

_Split = TypeVar("_Split", bound=Split)


class UnfinishedTest:
    """The test of one split by one process: how far it is, what was found, how long it took.

    Attributes:
        restored: images that earlier processes did.
        waited: seconds for which the model waited for images, of earlier processes too.

    Args:
        resume: where it is kept; None: nowhere.
        tuned: the file of what was tuned, which tells the weights from others of the same run; None: nothing was.
    """

    def __init__(self, resume: Resume | None = None, tuned: Path | None = None) -> None:
        self.resume, self.tuned = resume or Resume(), tuned
        self.restored, self.waited = 0, 0.0
        self._split, self._done = "", 0
        self._before, self._started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long testing took up to now, of earlier processes what was kept."""
        return self._before + time.perf_counter() - self._started

    @cached_property
    def _weights(self) -> str:
        return file_sha256(self.tuned) if self.tuned else ""

    def begin(self, split: _Split) -> tuple[_Split, Any]:
        """What is still to be done of a split, and what an earlier process found in the rest; None: nothing was kept.

        Args:
            split: this process's share of the images.
        """
        self._split = split.sha256
        state = self.resume.load()
        if state is None or (state["split"], state["weights"]) != (self._split, self._weights):
            return split, None
        self.restored, self._before, self.waited = state["done"], state["seconds"], state["waited"]
        self._done = self.restored
        rest: Any = split.subset(split.image_ids[self._done :])  # of the same class
        return rest, state["found"]

    def wait(self, seconds: float) -> None:
        """The model waited for images."""
        self.waited += seconds

    def keep(self, images: int, found: Callable[[], Any]) -> None:
        """So many more images are done.

        Args:
            images: how many.
            found: gives what was found in all that are done: tensors, numbers and texts, in lists and dictionaries.

        Raises:
            LockLostError: another process has the run now.
        """
        self._done += images
        if time.perf_counter() < self._started + PATIENCE:
            return
        self.resume.offer(
            lambda: {
                "split": self._split,
                "weights": self._weights,
                "done": self._done,
                "seconds": self.seconds,
                "waited": self.waited,
                "found": found(),
            }
        )
