"""What a detector must be able to do to be tuned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from odinw_bench.models.base import AnyPrompt, Model, ModelInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from glip_core import Prompt, Targets
    from glip_core.modes import TuningMode

Packed = tuple[dict[str, "Tensor"], dict[str, Any]]
"""Features as a file holds them: tensors on the CPU by name, and plain values that JSON can hold."""


@runtime_checkable
class Features(ModelInput, Protocol):
    """What a model computes of one image before the first trainable parameter; only the model looks inside."""

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        ...

    def to(self, device: torch.device) -> Features:
        """The same features on another device."""
        ...

    def pack(self) -> Packed:
        """For :meth:`TunableModel.unpack`."""
        ...


class OptimiserRates(Protocol):
    """The hyper-parameters that a model's parameter groups depend on; see :class:`odinw_bench.engine.recipes`."""

    @property
    def lr(self) -> float:
        """Base learning rate."""
        ...

    @property
    def language_lr(self) -> float:
        """Learning rate of the language backbone."""
        ...

    @property
    def offset_factor(self) -> float:
        """Learning rate of a tuned prompt offset, in parts of ``lr``."""
        ...

    @property
    def fresh_factor(self) -> float:
        """Learning rate of a randomly initialised class layer, in parts of ``lr``."""
        ...

    @property
    def weight_decay(self) -> float:
        """Of everything but biases."""
        ...


class TunableModel(Model):
    """A detector that can be adapted to a task.

    :meth:`trainable` comes first; it says what a mode trains. An adaptation may add modules: what is trained need
    not be a parameter that the model had before. Only one mode and one prompt are in force at a time.

    Attributes:
        loss_names: keys of :meth:`losses`.
        normaliser_names: keys of :meth:`normalisers`; ``positives``, where there is one, is a number of anchors, and
            recipes may set its least value for a batch.
        text_per_image: while it is trained, a language backbone runs for each image, with dropout of its own.
    """

    text_per_image: bool = False

    loss_names: ClassVar[Sequence[str]]
    normaliser_names: ClassVar[Sequence[str]]

    @abstractmethod
    def trainable(self, mode: TuningMode, prompt: Prompt) -> dict[str, nn.Parameter]:
        """Freeze what a mode does not train, add what it adds, and return what it trains by name.

        The names are those under which :meth:`tuned_state` saves the values.

        Args:
            mode: the way of adapting.
            prompt: the classes of the task.

        Raises:
            InputError: the mode does not fit the model, or the prompt is longer than it reads.
        """

    @abstractmethod
    def encode_frozen(self, mode: TuningMode, prompt: Prompt) -> AnyPrompt:
        """The prompt with what a mode never changes of its encoding, computed once for all steps."""

    @abstractmethod
    def train(self) -> None:
        """Prepare for a training step in the mode in force: dropout where the mode has it, nowhere else."""

    @abstractmethod
    def parameter_groups(self, rates: OptimiserRates) -> list[dict[str, Any]]:
        """The optimiser's groups for what is trained: each with ``params``, ``lr`` and ``weight_decay``."""

    @abstractmethod
    def normalisers(self, one: ModelInput, targets: Targets) -> dict[str, float]:
        """What one image adds to the sums by which the losses of its batch are divided.

        The sums over a batch are the same however it is split into passes and processes.
        """

    @abstractmethod
    def losses(
        self,
        inputs: Sequence[ModelInput],
        targets: Sequence[Targets],
        prompt: AnyPrompt,
        normalisers: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """The losses of images of one ``batch_key``, each a scalar; train on their sum.

        Args:
            inputs: images or features.
            targets: one per image, in pixels of its ``hw``.
            prompt: what :meth:`encode_frozen` gave.
            normalisers: sums over the whole batch, of which these images may be only a part: the losses of all
                parts add up to those of the batch.
        """

    @abstractmethod
    def can_cache(self, mode: TuningMode) -> bool:
        """Whether something is computed of each image that the mode never changes."""

    @abstractmethod
    def features(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> Features:
        """What the mode never changes of an image; :meth:`losses` and :meth:`detect_batch` go on from there."""

    @abstractmethod
    def features_identity(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> dict[str, Any] | None:
        """All that the features depend on, as JSON; None where they must not outlive the process (random weights)."""

    @abstractmethod
    def unpack(self, packed: Packed) -> Features:
        """What :meth:`Features.pack` gave.

        Raises:
            KeyError, ValueError: these are not features of such a model.
        """

    @abstractmethod
    def tuned_state(self) -> dict[str, Tensor]:
        """What was trained: copies on the CPU, for ``tuned.safetensors``."""

    @abstractmethod
    def apply_tuned(self, mode: TuningMode, prompt: Prompt, state: Mapping[str, Tensor], *, source: str) -> None:
        """Put what :meth:`tuned_state` saved into the base model.

        Args:
            mode: the mode that was tuned.
            prompt: the prompt that it was tuned for.
            state: name -> tensor.
            source: where the tensors come from, for the message.

        Raises:
            InputError: a tensor does not belong to this model and mode.
        """
