"""How many detections of an image a detector keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glip_core import Detector


@contextmanager
def keeping(detector: Detector, detections: int) -> Iterator[None]:
    """While the block runs, so many detections of each pass are kept; ties with the last one are kept too."""
    usual = detector.postprocessing
    detector.postprocessing = replace(usual, per_image=detections)
    try:
        yield
    finally:
        detector.postprocessing = usual
