"""The ways of adapting that the GLIP paper and its code know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.modes.base import FROZEN_BODY, HEAD, LANGUAGE, TuningMode

if TYPE_CHECKING:
    from glip_core.detector import Detector


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
        return name.startswith(HEAD)


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
        return name.startswith((LANGUAGE, *HEAD))


class Full(TuningMode):
    """Everything but the patch embedding and the first Swin stage, which the official recipe freezes."""

    name = "full"
    official_name = "full"
    frozen_vision = False
    frozen_text = False

    def is_trainable(self, name: str) -> bool:
        """All but the backbone's bottom."""
        return not name.startswith(FROZEN_BODY)

    def train(self, detector: Detector) -> None:
        """Everything in training mode, the frozen bottom of the backbone excepted."""
        detector.train()
        swin: Any = detector.vision.swin
        for frozen in (swin.patch_embed, swin.patch_norm, swin.layers[0]):
            frozen.eval()
