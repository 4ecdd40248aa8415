"""Torchvision's kernel of non-maximum suppression."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Indices of the boxes that overlap no better one by more than ``iou``, best first.

    Args:
        boxes: corners ``[N, 4]``, exclusive.
        scores: ``[N]``.
        iou: from 0 to 1.
    """
    _load()
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, iou)
    return kept


@cache
def _load() -> None:
    """Make the kernels known to torch: by their library alone, where it can be found.

    The package imports all of its models, and with them a compiler: more than a second.
    """
    spec = None if "torchvision" in sys.modules else find_spec("torchvision")
    for folder in (spec and spec.submodule_search_locations) or ():
        for library in sorted(Path(folder).glob("_C*")):
            try:
                torch.ops.load_library(library)
                torch.ops.torchvision.nms  # noqa: B018  an attribute error where it is another library
                return
            except (OSError, AttributeError, RuntimeError):  # of another torch: the package says so in its own words
                continue
    import torchvision.ops  # noqa: F401
