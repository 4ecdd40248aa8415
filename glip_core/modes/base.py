"""What a tuning mode is: what it trains, what stays frozen and may be cached meanwhile, and its learning rates."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from glip_core.config import DetectorConfig
from glip_core.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from glip_core.detector import Detector
    from glip_core.prompt import Prompt

PROMPT_OFFSET = "rpn.tunable_linear.weight"
FROZEN_BODY = ("backbone.body.patch_embed.", "backbone.body.layers.0.")
HEAD = (
    "rpn.head.bbox_pred.",
    "rpn.head.centerness.",
    "rpn.head.dot_product_projection_text.",
    "rpn.head.log_scale",
    "rpn.head.bias_lang",
    "rpn.head.bias0",
    "rpn.head.cls_logits.",
)
LANGUAGE = "language_backbone."
CLASS_LAYER = "rpn.head.cls_logits."
"""Official names of the class layer of a DyHead begin so; it starts from random values on every new task."""


class TuningMode(ABC):
    """One way of adapting a detector.

    Attributes:
        name: as in ``--mode``.
        official_name: what the official code calls it, None where it has no name for it.
        needs_text: whether it makes sense only for a detector that reads prompts.
        frozen_vision: the backbone's and pyramid's output never changes while tuning.
        frozen_text: the language backbone's output never changes (a tuned offset comes after it).
        frozen_tower: everything before the heads never changes.
        tower_dropout: the tower's dropout is active in training steps, though its weights may be frozen.
        recipe: hyper-parameters of a mode that a protocol has no row for, by field; ``lr`` and ``weight_decay`` must
            be among them.
        recipes: the same for single protocols, by name.
    """

    name: ClassVar[str]
    official_name: ClassVar[str | None] = None
    needs_text: ClassVar[bool] = False
    tunes: ClassVar[bool] = True
    tunes_offset: ClassVar[bool] = False
    frozen_vision: bool = True
    frozen_text: bool = True
    frozen_tower: bool = False
    tower_dropout: bool = False
    recipe: ClassVar[Mapping[str, Any]] = {}
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def with_tower_dropout(self) -> Self:
        """The same mode with dropout in the tower while training, so that the tower's output does change."""
        changed = copy(self)
        changed.tower_dropout, changed.frozen_tower = True, False
        return changed

    def is_trainable(self, name: str) -> bool:
        """Whether the parameter with this official name is tuned."""
        raise NotImplementedError

    def check(self, config: DetectorConfig) -> None:
        """Raise :class:`InputError` where the mode does not fit the detector."""
        if self.needs_text and not config.has_text:
            raise InputError(
                f"mode '{self.name}' needs a model that reads prompts; '{config.name}' has a class head: "
                "use full or linear"
            )

    def add_modules(self, detector: Detector, prompt: Prompt) -> dict[str, nn.Parameter]:
        """Add what the mode brings to a base detector, and return the new parameters by the names to save them under.

        Called once, after everything was frozen that :meth:`is_trainable` does not name. Names must not be official
        ones.
        """
        return {}

    def is_added(self, name: str) -> bool:
        """Whether :meth:`add_modules` brings a parameter of this official name, of a layer that the detector had."""
        return False

    @property
    def is_configurable(self) -> bool:
        """Whether the mode reads hyper-parameters of its own; see :meth:`configured`."""
        return type(self).configured is not TuningMode.configured

    def configured(self, settings: Any) -> TuningMode:
        """The mode with the hyper-parameters of a run, for modes that have some of their own.

        Args:
            settings: has ``adapter_rank``, ``adapter_alpha`` and ``adapter_where``; see
                :class:`odinw_bench.engine.recipes.Hyperparameters`.

        Raises:
            InputError: they make no sense for this mode.
        """
        return self

    def trainable_names(self, detector: Detector) -> list[str]:
        """Official names of the existing parameters and the offset that are trained, in the order of the model."""
        from glip_core import tuning

        return tuning.names_of(detector, self)

    def prepare(self, detector: Detector, prompt: Prompt) -> dict[str, nn.Parameter]:
        """See :func:`glip_core.tuning.prepare`."""
        from glip_core import tuning

        return tuning.prepare(detector, self, prompt)

    def train(self, detector: Detector) -> None:
        """Set the detector for a training step: what is frozen runs in evaluation mode, without dropout.

        With :attr:`tower_dropout` the tower is the exception.
        """
        detector.eval()
        if self.tower_dropout:
            detector.tower.train()
