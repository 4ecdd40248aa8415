"""What a detector of others must be able to do to take part: one class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from PIL.Image import Image

    from glip_core import Detections, Prompt


class Adapter(ABC):
    """A detector that is asked by a prompt and tuned elsewhere, if at all.

    A subclass says how to identify its weights, load them and detect. It is used by ``--model PACKAGE.MODULE:CLASS``,
    or by its name where its package declares it as an entry point of the group ``odinw_bench.models``.

    Attributes:
        name: in tables and folders; lower-case letters, digits and hyphens.
        title: in words.
        device: where it was loaded to.
        modes: which of ``zero-shot`` (class names alone) and ``manual`` (with attributes) it can do.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    modes: ClassVar[Sequence[str]] = ("zero-shot", "manual")
    device: str = "cpu"

    @classmethod
    @abstractmethod
    def identify(cls, weights: str | None) -> str:
        """A hash of the weights: runs with other weights are other runs.

        Args:
            weights: what the user gave as ``--weights``; None: the detector's own.

        Raises:
            InputError: there are no such weights.
        """

    @abstractmethod
    def __init__(self, weights: str | None, device: str) -> None:
        """Load it.

        Args:
            weights: see :meth:`identify`.
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

    @property
    def parameters(self) -> int:
        """Number of its parameters; 0: not told."""
        return 0
