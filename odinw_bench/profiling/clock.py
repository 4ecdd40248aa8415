"""Where the time of one pass goes, by hooks on the modules of the network."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from glip_core import Detector


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that was asked of it; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class StageClock:
    """Adds up seconds by stage while it watches, waiting for the GPU at every border.

    The waiting makes the whole slower, since nothing is queued ahead of it. Stages must not contain each other.

    Args:
        device: what the network runs on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._started: dict[nn.Module, float] = {}
        self._hooks: list[Any] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block as part of a stage, while the clock watches."""
        if not self._hooks:
            yield
            return
        started = self.now()
        yield
        self.seconds[name] += self.now() - started

    def now(self) -> float:
        """The time when all that was asked of the device is done."""
        wait_for(self.device)
        return time.perf_counter()

    def watch(self, detector: Detector) -> None:
        """Time the forward passes of a detector's parts from now on."""
        stages: list[tuple[str, Any]] = [("vision", detector.vision), ("language", getattr(detector, "language", None))]
        for block in detector.tower:
            stages += [("fusion", block.fusion), ("fusion", block.language), ("DyHead", block.dyconv)]
        stages.append(("heads", detector.get_submodule("head")))
        for name, module in stages:
            if isinstance(module, nn.Module):
                self._hooks.append(module.register_forward_pre_hook(self._enter))
                self._hooks.append(module.register_forward_hook(self._leaver(name)))

    def unwatch(self) -> None:
        """Stop timing."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        self._started[module] = self.now()

    def _leaver(self, name: str) -> Any:
        def leave(module: nn.Module, _inputs: Any, _outputs: Any) -> None:
            self.seconds[name] += self.now() - self._started.pop(module)

        return leave
