"""What a detector must be able to do to be run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from glip_core.errors import InputError
from glip_core.modes import MODES

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from glip_core import Detections, Prompt
    from glip_core.modes import TuningMode


Phrases = Sequence[Sequence[tuple[int, int]]]
"""The phrases of a sentence, each by its half-open character spans."""

AnyPrompt = Any
"""A :class:`glip_core.Prompt`, or what :meth:`Model.encode` made of one."""


@dataclass(frozen=True)
class ModelFacts:
    """What a grid must know of a detector before it is loaded.

    Attributes:
        name: in tables and folders.
        has_text: its classes are a prompt.
        nano: one of the embedded models.
        modes: what can be done with it.
        grounds: it finds the phrases of a sentence, not only classes.
    """

    name: str
    has_text: bool
    nano: bool
    modes: Sequence[str]
    grounds: bool = False

    def allows(self, mode: TuningMode) -> bool:
        """Whether a mode can be used; one from another package with any model that is tuned here."""
        return mode.name in self.modes or (mode.name not in MODES and "full" in self.modes)


@runtime_checkable
class ModelInput(Protocol):
    """An image in the form that a model takes, or the frozen features of one."""

    @property
    def hw(self) -> tuple[int, int]:
        """(height, width) of the image in the pixels that its targets and detections are given in."""
        ...

    @property
    def batch_key(self) -> Hashable:
        """Inputs with equal keys may go through the model in one pass."""
        ...


class Model(ABC):
    """A detector that looks for the classes of a prompt.

    Attributes:
        name: in tables and folders; lower-case letters, digits, hyphens and dots.
        title: in words.
        modes: what can be done with it, by name (see :mod:`glip_core.tuning`).
        batch_size: images that go through together when a split is evaluated, at most.
        in_torch: it allocates through PyTorch, which knows its peak on a GPU.
        device: where it was loaded to.
        ignored_weights: names in the weights that it had no use for, where it was loaded by :meth:`load_lenient`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    modes: ClassVar[Sequence[str]] = ("zero-shot", "manual")
    batch_size: ClassVar[int] = 1
    in_torch: ClassVar[bool] = True
    device: torch.device | str = "cpu"
    ignored_weights: Sequence[str] = ()

    @classmethod
    def facts(cls) -> ModelFacts:
        """What is known before it is loaded."""
        return ModelFacts(cls.name, has_text=True, nano=False, modes=cls.modes)

    @classmethod
    @abstractmethod
    def identify(cls, weights: str | None) -> str:
        """A hash of the weights: runs with other weights are other runs.

        Args:
            weights: what the user gave as ``--weights``; None: the detector's own.

        Raises:
            InputError: there are no such weights.
        """

    @classmethod
    def is_known_as(cls, weights: str | None, sha256: str) -> bool:
        """Whether weights are those that a record has this hash of.

        Args:
            weights: see :meth:`identify`.
            sha256: what :meth:`identify` gave for the run.

        Raises:
            InputError: there are no such weights.
        """
        return cls.identify(weights) == sha256

    @classmethod
    @abstractmethod
    def load(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> Model:
        """The detector with its weights, in evaluation mode.

        Args:
            weights: see :meth:`identify`.
            device: ``cpu`` or ``cuda[:N]``.
            classes: number of classes of the task, for a class layer that starts from random values.
            seed: of such random values.

        Raises:
            InputError: there are no such weights, or they are another model's.
        """

    @classmethod
    def load_lenient(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> Model:
        """As :meth:`load`, but names in the weights that the detector has no use for are ignored.

        Raises:
            InputError: see :meth:`load`; or the detector cannot do it.
        """
        raise InputError(f"'{cls.name}' cannot ignore names in its weights: leave --lenient-weights out")

    @abstractmethod
    def prepare(self, photo: Image, *, scale: float = 1.0, flip: bool = False) -> ModelInput:
        """Bring a photo into the form that the model takes, on the CPU.

        Args:
            photo: RGB, any size.
            scale: length of the shorter side, in parts of the model's own.
            flip: mirrored left to right.
        """

    def encode(self, prompt: Prompt) -> AnyPrompt:
        """The prompt with what can be computed of it once for all images; by default nothing is."""
        return prompt

    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[ModelInput]:
        """What does not depend on the prompt, computed once for many prompts; by default nothing is.

        Args:
            inputs: images of one ``batch_key``, as :meth:`prepare` made them.

        Returns:
            as many inputs for :meth:`detect_batch`, of one ``batch_key``.
        """
        return inputs

    @contextmanager
    def keeping(self, detections: int) -> Iterator[None]:
        """While the block runs, so many detections of an image are kept, where the model has no limit of its own."""
        del detections
        yield

    @abstractmethod
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """Detect in images of one ``batch_key``.

        Args:
            inputs: what :meth:`prepare` made; of a tunable model also all of them features.
            prompt: the classes, with the place of each in the caption; encoded or not.

        Returns:
            one per image: inclusive corners in pixels of the input's ``hw``, best first, 300 at most; labels are
            positions in the prompt.
        """

    def ground_sentences(
        self, one: ModelInput, sentences: Sequence[tuple[str, Phrases]], *, apart: bool = False
    ) -> list[Detections]:
        """Find the phrases of several sentences in one image, whose own features are computed once for all.

        Args:
            one: what :meth:`prepare` made.
            sentences: each with its phrases.
            apart: each phrase may have 100 boxes, else all of a sentence together.

        Returns:
            one per sentence, as :meth:`detect_batch` gives them; labels are positions in its phrases.

        Raises:
            InputError: the detector looks for classes only, or a sentence is longer than it reads.
        """
        raise InputError(f"'{self.name}' looks for classes, not for the phrases of a sentence: take a GLIP model")

    @property
    def parameters(self) -> int:
        """Number of its parameters; 0: not reported."""
        return 0

    def eval(self) -> None:  # noqa: B027  nothing to do for most
        """Switch dropout and the like off."""

    def use_checkpointing(self, on: bool) -> None:  # noqa: B027  not every model can
        """While training recompute activations rather than keep them, where the model can: the same gradients."""

    @contextmanager
    def without_tuned_prompt(self) -> Iterator[None]:
        """While the block runs, what was tuned for the tuned prompt alone is put aside, to look for other classes."""
        yield

    def predict(self, photo: Image, prompt: AnyPrompt) -> Detections:
        """Detections in one photo, on the CPU, in the photo's own pixels.

        Args:
            photo: RGB, any size.
            prompt: the classes; encode it first where there are several photos.
        """
        from glip_core.preprocess import scale_boxes

        self.eval()
        one = self.prepare(photo)
        found = self.detect_batch([one], prompt)[0].to("cpu")
        boxes = scale_boxes(found.boxes, one.hw, (photo.height, photo.width))
        return replace(found, boxes=boxes)

    def ground(self, photo: Image, sentence: str, phrases: Phrases) -> Detections:
        """The phrases of a sentence in one photo, on the CPU, in the photo's own pixels.

        Args:
            photo: RGB, any size.
            sentence: read as it is.
            phrases: see :data:`Phrases`; labels are positions in it.

        Raises:
            InputError: see :meth:`ground_sentences`.
        """
        from glip_core.preprocess import scale_boxes

        self.eval()
        one = self.prepare(photo)
        found = self.ground_sentences(one, [(sentence, phrases)])[0].to("cpu")
        return replace(found, boxes=scale_boxes(found.boxes, one.hw, (photo.height, photo.width)))
