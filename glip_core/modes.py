"""The tuning modes: what each trains, what stays frozen and may be cached meanwhile, and its learning rates.

This module does not import torch. To add a mode, write one class; list it in :data:`MODES`, or have another package
declare it as an entry point of the group ``odinw_bench.modes``, or name it by ``--mode PACKAGE.MODULE:CLASS``.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from glip_core.config import DetectorConfig
from glip_core.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn

    from glip_core.detector import Detector
    from glip_core.prompt import Prompt

PROMPT_OFFSET = "rpn.tunable_linear.weight"
_FROZEN_BODY = ("backbone.body.patch_embed.", "backbone.body.layers.0.")
_HEAD = (
    "rpn.head.bbox_pred.",
    "rpn.head.centerness.",
    "rpn.head.dot_product_projection_text.",
    "rpn.head.log_scale",
    "rpn.head.bias_lang",
    "rpn.head.bias0",
    "rpn.head.cls_logits.",
)
LANGUAGE = "language_backbone."


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
    frozen_vision: ClassVar[bool] = True
    frozen_text: ClassVar[bool] = True
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


class ZeroShot(TuningMode):
    """Nothing is trained; class names are the prompt."""

    name = "zero-shot"
    needs_text = True
    tunes = False
    frozen_tower = True

    def is_trainable(self, name: str) -> bool:
        """No."""
        return False


class Manual(ZeroShot):
    """Nothing is trained; the prompt carries hand-written attributes."""

    name = "manual"
    official_name = "caption prompt"


class PromptTuning(TuningMode):
    """A zero-initialised offset on the frozen token features, one row per token of the prompt."""

    name = "prompt"
    official_name = "language_prompt_v2"
    needs_text = True
    tunes_offset = True

    def is_trainable(self, name: str) -> bool:
        """No weight of the model."""
        return False


class LinearProbe(TuningMode):
    """The last linear layers: boxes, centerness, and alignment or classes.

    The official code leaves the dropout of the frozen tower active here (:meth:`TuningMode.with_tower_dropout`). By
    default frozen parts run in evaluation mode, which is what allows their output to be cached.
    """

    name = "linear"
    official_name: ClassVar[str | None] = "linear_prob"
    frozen_tower = True

    def is_trainable(self, name: str) -> bool:
        """The heads, but not the per-level scales."""
        return name.startswith(_HEAD)


class PromptAndLinear(LinearProbe):
    """Offset and heads together (what the official language_prompt_v4 was meant to be)."""

    name = "prompt+linear"
    official_name = None
    needs_text = True
    tunes_offset = True
    frozen_tower = False


class Language(TuningMode):
    """The whole language backbone."""

    name = "language"
    official_name: ClassVar[str | None] = "language_prompt_v1"
    needs_text = True
    frozen_text = False

    def is_trainable(self, name: str) -> bool:
        """The language backbone."""
        return name.startswith(LANGUAGE)

    def train(self, detector: Detector) -> None:
        """Dropout is active in the language backbone, beside what all modes may have."""
        super().train(detector)
        detector.get_submodule("language").train()


class LanguageAndLinear(Language):
    """Language backbone and heads (what the official language_prompt_v3 was meant to be)."""

    name = "language+linear"
    official_name = None

    def is_trainable(self, name: str) -> bool:
        """The language backbone and the heads."""
        return name.startswith((LANGUAGE, *_HEAD))


class Full(TuningMode):
    """Everything but the patch embedding and the first Swin stage, which the official recipe freezes."""

    name = "full"
    official_name = "full"
    frozen_vision = False
    frozen_text = False

    def is_trainable(self, name: str) -> bool:
        """All but the backbone's bottom."""
        return not name.startswith(_FROZEN_BODY)

    def train(self, detector: Detector) -> None:
        """Everything in training mode, the frozen bottom of the backbone excepted."""
        detector.train()
        swin: Any = detector.vision.swin
        for frozen in (swin.patch_embed, swin.patch_norm, swin.layers[0]):
            frozen.eval()


MODES: dict[str, TuningMode] = {
    mode.name: mode
    for mode in (
        ZeroShot(),
        Manual(),
        PromptTuning(),
        LinearProbe(),
        PromptAndLinear(),
        Language(),
        LanguageAndLinear(),
        Full(),
    )
}


def get_mode(name: str) -> TuningMode:
    """The mode of that name (or of that official name).

    Raises:
        InputError: there is none; the message names the nearest one.
    """
    if name in MODES:
        return MODES[name]
    for mode in MODES.values():
        if mode.official_name == name:
            return mode
    raise InputError(f"unknown mode '{name}'{nearest(name, MODES)}")
