"""Ways of adapting that train few values: biases (BitFit), normalisation layers, LoRA and DoRA."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError, nearest
from glip_core.modes.base import CLASS_LAYER, FROZEN_BODY, TuningMode

if TYPE_CHECKING:
    from torch import nn

    from glip_core.detector import Detector
    from glip_core.prompt import Prompt

PARTS: Mapping[str, tuple[str, ...]] = {
    "vision": ("vision.swin.layers.", "vision.pyramid."),
    "language": ("language.encoder.encoder.",),
    "fusion": ("fusion.", "language.layer."),  # behind "tower.N."
    "tower": ("dyconv.",),  # likewise
    "heads": ("head.projection", "head.boxes."),
}
"""Parts of a detector by the names of their modules, for ``adapter_where``."""


class FewOfAll(TuningMode):
    """Few of the values of every part of the detector are trained, so that nothing may be cached."""

    frozen_vision = False
    frozen_text = False
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 1e-3, "language_lr": 1e-4, "weight_decay": 0.0}
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mini-1": {"lr": 3e-3, "language_lr": 3e-3, "weight_decay": 0.0},
    }


class BiasTuning(FewOfAll):
    """All biases, nothing else (BitFit: Ben Zaken et al., ACL 2022); as in ``full`` not those of the first stage."""

    name: ClassVar[str] = "bias"

    def is_trainable(self, name: str) -> bool:
        """Additive terms: biases of layers, the head's ``bias_lang`` and ``bias0``."""
        if name.startswith(CLASS_LAYER):
            return True
        additive = name.endswith((".bias", ".bias_lang", ".bias0"))
        return additive and not name.startswith(FROZEN_BODY)


class NormTuning(FewOfAll):
    """Scales and shifts of all normalisation layers (Frankle et al., ICLR 2021), not those of the first stage."""

    name: ClassVar[str] = "norm"

    def is_trainable(self, name: str) -> bool:
        """Of LayerNorm and GroupNorm."""
        if name.startswith(CLASS_LAYER):
            return True
        module = name.rpartition(".")[0].rpartition(".")[2]
        return ("norm" in module.lower() or module == "bn") and not name.startswith(FROZEN_BODY)


class LoRA(TuningMode):
    """Low-rank updates of the weights of some parts (Hu et al., ICLR 2022); everything else is frozen.

    Attributes:
        decomposed: DoRA in place of LoRA.
        rank, alpha, where: of the updates; ``where`` names keys of :data:`PARTS`.
    """

    name: ClassVar[str] = "lora"
    decomposed: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-3,
        "weight_decay": 0.0,
        "adapter_rank": 8,
        "adapter_alpha": 16.0,
        "adapter_where": "fusion+tower+heads",
    }
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mini-1": {**recipe, "lr": 5e-3},
    }

    def __init__(self) -> None:
        self.rank, self.alpha = int(self.recipe["adapter_rank"]), float(self.recipe["adapter_alpha"])
        self.where = tuple(str(self.recipe["adapter_where"]).split("+"))

    def configured(self, settings: Any) -> LoRA:
        """See :class:`TuningMode`.

        Raises:
            InputError: a rank below 1, or a part that is none.
        """
        chosen = copy.copy(self)
        chosen.rank, chosen.alpha = settings.adapter_rank, settings.adapter_alpha
        chosen.where = tuple(settings.adapter_where.split("+"))
        for part in chosen.where:
            if part not in PARTS:
                known = ", ".join(PARTS)
                raise InputError(
                    f"adapter_where: unknown part '{part}'{nearest(part, PARTS)}; parts: {known}, joined by +"
                )
        if chosen.rank < 1:
            raise InputError("adapter_rank must be at least 1")
        chosen.frozen_vision, chosen.frozen_text = "vision" not in chosen.where, "language" not in chosen.where
        return chosen

    def is_trainable(self, name: str) -> bool:
        """No weight that the model had, but for a class layer that starts from random values."""
        return name.startswith(CLASS_LAYER)

    def is_added(self, name: str) -> bool:
        """The factors of a low-rank update, and with DoRA the lengths of rows."""
        from glip_core.modeling.low_rank import DOWN, MAGNITUDE, UP

        return name.rpartition(".")[2] in (DOWN, UP, MAGNITUDE)

    def add_modules(self, detector: Detector, prompt: Prompt) -> dict[str, nn.Parameter]:
        """See :class:`TuningMode`; the names are those of the adapted weights with ``lora_A``, ``lora_B`` at the end.

        Raises:
            InputError: the detector has none of the parts.
        """
        from torch import nn

        from glip_core.checkpoint.names import official_name
        from glip_core.modeling import low_rank

        layers = {
            name: layer
            for name, layer in detector.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and any(_is_in(name, part) for part in self.where)
        }
        if not layers:
            raise InputError(f"'{detector.config.name}' has none of the parts {'+'.join(self.where)} to adapt")
        low_rank.adapt(layers.values(), rank=self.rank, alpha=self.alpha, decomposed=self.decomposed)
        return {
            official_name(f"{name}.weight", detector.config).removesuffix("weight") + ending: parameter
            for name, layer in layers.items()
            for ending, parameter in low_rank.update_of(layer).named_parameters()
        }


class DoRA(LoRA):
    """LoRA with the lengths of the weights' rows trained apart (Liu et al., ICML 2024)."""

    name = "dora"
    decomposed = True


class PromptAndLoRA(LoRA):
    """A tuned prompt offset and low-rank updates together."""

    name = "prompt+lora"
    needs_text = True
    tunes_offset = True
    recipe: ClassVar[Mapping[str, Any]] = {**LoRA.recipe, "offset_factor": 50.0}
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mini-1": {**LoRA.recipes["mini-1"], "offset_factor": 20.0},
    }


def _is_in(module: str, part: str) -> bool:
    """Whether a module of a detector lies in a part."""
    if module.startswith("tower."):
        return module.split(".", 2)[-1].startswith(PARTS[part])
    return part not in ("fusion", "tower") and module.startswith(PARTS[part])


__all__ = ["PARTS", "BiasTuning", "DoRA", "LoRA", "NormTuning", "PromptAndLoRA"]
