"""Third-party detectors: one class that answers a prompt about one image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odinw_bench.models.base import AnyPrompt, Model, ModelInput

if TYPE_CHECKING:
    from PIL.Image import Image

    from glip_core import Detections, Prompt


@dataclass(frozen=True)
class Photo:
    """An image as it was decoded.

    Attributes:
        image: RGB.
    """

    image: Image

    @property
    def hw(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.height, self.image.width

    @property
    def batch_key(self) -> Hashable:
        """Photos are not batched by size."""
        return None


class Adapter(Model):
    """A detector that is asked by a prompt, one photo at a time, and tuned elsewhere, if at all.

    A subclass says how to identify its weights, load them and detect. It is used by ``--model PACKAGE.MODULE:CLASS``,
    or by its name where its package declares it as an entry point of the group ``odinw_bench.models``.

    Attributes:
        modes: which of ``zero-shot`` (class names alone) and ``manual`` (with attributes) it can do.
    """

    @abstractmethod
    def __init__(self, weights: str | None, device: str) -> None:
        """Load it.

        Args:
            weights: see :meth:`Model.identify`.
            device: ``cpu`` or ``cuda[:N]``.
        """

    @abstractmethod
    def detect(self, image: Image, prompt: Prompt) -> Detections:
        """Detect.

        Args:
            image: RGB, any size.
            prompt: the classes, with the place of each in the caption.

        Returns:
            boxes as inclusive corners in the image's pixels, best first, 300 at most; labels are positions in the
            prompt.
        """

    @classmethod
    def load(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> Adapter:
        """See :meth:`Model.load`."""
        return cls(weights, device)

    def prepare(self, photo: Image, *, scale: float = 1.0, flip: bool = False) -> Photo:
        """The photo itself: it is not trained on, so scale and flip have no meaning."""
        return Photo(photo)

    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :meth:`Model.detect_batch`."""
        return [self.detect(one.image, prompt) for one in inputs if isinstance(one, Photo)]
