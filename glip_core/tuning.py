"""The tuning modes: which parameters move, what stays frozen, and what may be cached meanwhile."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glip_core.checkpoint import named_tensors
from glip_core.config import DetectorConfig
from glip_core.detector import GLIP, Detector
from glip_core.errors import InputError, nearest
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
_LANGUAGE = "language_backbone."


class TuningMode(ABC):
    """One way of adapting a detector.

    Attributes:
        name: as in ``--mode``.
        official_name: what the official code calls it, None where it has no name for it.
        needs_text: whether it makes sense only for a detector that reads prompts.
        frozen_vision: the backbone's and pyramid's output never changes while tuning.
        frozen_text: the language backbone's output never changes (a tuned offset comes after it).
        frozen_tower: everything before the heads never changes.
    """

    name: ClassVar[str]
    official_name: ClassVar[str | None] = None
    needs_text: ClassVar[bool] = False
    tunes: ClassVar[bool] = True
    tunes_offset: ClassVar[bool] = False
    frozen_vision: ClassVar[bool] = True
    frozen_text: ClassVar[bool] = True
    frozen_tower: ClassVar[bool] = False

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

    def trainable_names(self, detector: Detector) -> list[str]:
        """Official names of what moves, in the order of the model."""
        self.check(detector.config)
        names = [name for name in named_tensors(detector, detector.config) if name != PROMPT_OFFSET]
        offset = [PROMPT_OFFSET] if self.tunes_offset else []
        return [name for name in names if self.is_trainable(name)] + offset

    def prepare(self, detector: Detector, prompt: Prompt) -> dict[str, nn.Parameter]:
        """Freeze what does not move and return what does, by official name.

        Where the mode tunes an offset, the detector gets a zero one with a row per token of ``prompt``.
        """
        self.check(detector.config)
        if isinstance(detector, GLIP):
            if self.tunes_offset:
                tokens = len(detector.language.tokenize(prompt).ids)
                detector.prompt_offset = new_offset(detector, tokens)
            else:
                detector.prompt_offset = None
        trainable: dict[str, nn.Parameter] = {}
        for name, tensor in named_tensors(detector, detector.config).items():
            if not isinstance(tensor, nn.Parameter):
                continue
            tensor.requires_grad_(name == PROMPT_OFFSET or self.is_trainable(name))
            if tensor.requires_grad:
                trainable[name] = tensor
        return trainable

    def train(self, detector: Detector) -> None:
        """Set the detector for a training step: what is frozen runs in evaluation mode, without dropout."""
        detector.eval()


class ZeroShot(TuningMode):
    """Nothing moves; class names are the prompt."""

    name = "zero-shot"
    needs_text = True
    tunes = False
    frozen_tower = True

    def is_trainable(self, name: str) -> bool:
        """No."""
        return False


class Manual(ZeroShot):
    """Nothing moves; the prompt carries hand-written attributes."""

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

    The official code leaves the dropout of the frozen tower active here; frozen parts run in evaluation mode in
    ours, which is what allows their output to be cached.
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
        return name.startswith(_LANGUAGE)

    def train(self, detector: Detector) -> None:
        """Dropout is active in the language backbone alone."""
        detector.eval()
        detector.get_submodule("language").train()


class LanguageAndLinear(Language):
    """Language backbone and heads (what the official language_prompt_v3 was meant to be)."""

    name = "language+linear"
    official_name = None

    def is_trainable(self, name: str) -> bool:
        """The language backbone and the heads."""
        return name.startswith((_LANGUAGE, *_HEAD))


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


def trainable_names(detector: Detector, mode: str) -> list[str]:
    """Official names of the parameters that move in a mode."""
    return get_mode(mode).trainable_names(detector)


def new_offset(detector: GLIP, tokens: int) -> nn.Parameter:
    """A zero offset for a prompt of so many tokens, ``[tokens, D]``."""
    width = detector.head.bias_lang.shape[0]
    return nn.Parameter(torch.zeros(tokens, width, device=detector.device))


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], *, lr: float, language_lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Optimiser groups by the official rule.

    The language backbone has its own rate. Any name that contains ``bias`` (so also relative position tables,
    ``bias_lang`` and ``bias0``) moves twice as fast and does not decay; normalisation weights decay like others.

    Args:
        parameters: official name -> parameter.
        lr: base learning rate.
        language_lr: learning rate of the language backbone.
        weight_decay: decay of everything but biases.

    Returns:
        One group per combination of rate and decay, with ``params``, ``names``, ``lr`` and ``weight_decay``.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        rate = language_lr if name.startswith(_LANGUAGE) else lr
        bias = "bias" in name
        key = (rate * 2 if bias else rate, 0.0 if bias else weight_decay)
        group = groups.setdefault(key, {"params": [], "names": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def tuned_state(detector: Detector, mode: TuningMode) -> dict[str, Tensor]:
    """What moved, by official name: copies on the CPU, for ``tuned.safetensors``."""
    tensors = named_tensors(detector, detector.config)
    return {
        name: tensors[name].detach().to("cpu", copy=True).contiguous()
        for name in mode.trainable_names(detector)
        if name in tensors
    }


def apply_tuned(detector: Detector, state: Mapping[str, Tensor], *, source: str = "tuned weights") -> None:
    """Put what :func:`tuned_state` saved into the model it was tuned from.

    Args:
        detector: the base model, as it was before tuning.
        state: official name -> tensor. A prompt offset may have one row per token, or the 1000 rows of an official
            checkpoint.
        source: where the tensors come from, for the message.

    Raises:
        InputError: a tensor does not belong to this model.
    """
    if PROMPT_OFFSET in state:
        if not isinstance(detector, GLIP):
            raise InputError(f"{source} hold a tuned prompt, '{detector.config.name}' reads no prompts")
        detector.prompt_offset = new_offset(detector, len(state[PROMPT_OFFSET]))
    tensors = named_tensors(detector, detector.config)
    wrong: Sequence[str] = [k for k, v in state.items() if k not in tensors or tensors[k].shape != v.shape]
    if wrong:
        raise InputError(f"{source} do not fit the model '{detector.config.name}': {wrong[0]} ({len(wrong)} in all)")
    with torch.no_grad():
        for name, tensor in state.items():
            tensors[name].copy_(tensor)
