"""Detectors of the transformers library that can be tuned: choosing, grouping, keeping and putting back parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glip_core import InputError, Prompt, Targets, tuning
from glip_core.checkpoint import check_values
from glip_core.modeling import low_rank
from glip_core.modes import PROMPT_OFFSET, TuningMode
from glip_core.modes.adapters import LoRA
from glip_core.modes.base import CLASS_LAYER
from glip_core.modes.paper import Full, Language
from odinw_bench.models.base import AnyPrompt, ModelInput
from odinw_bench.models.hub.base import HubModel, ProcessedImage
from odinw_bench.models.hub.features import VisionFeatures, libraries_of
from odinw_bench.models.hub.parts import Parts, choose, share_tied
from odinw_bench.models.hub.recompute import recompute_layers
from odinw_bench.models.tunable import OptimiserRates, Packed, TunableModel
from odinw_bench.utils.io import sha256_bytes


class TunableHubModel(HubModel, TunableModel):
    """What the tunable families share; a family says which parts it has, prepares, detects and computes losses.

    Attributes:
        parts: of its network.
        language: name of the language backbone's module; empty: it has none.
        tower: names of the modules between backbone and heads.
        offset: what is added to the text's features; None: nothing.
    """

    parts: ClassVar[Parts]
    language: ClassVar[str] = ""
    tower: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        super().__init__(network, processor, weights_sha256)
        share_tied(network)
        self.offset: nn.Parameter | None = None
        self._mode: TuningMode | None = None
        self._trainable: dict[str, nn.Parameter] = {}
        self._roles: dict[str, str] = {}

    def trainable(self, mode: TuningMode, prompt: Prompt) -> dict[str, nn.Parameter]:
        """See :class:`TunableModel`; the names are those of the family's checkpoints in transformers.

        Raises:
            InputError: see :class:`TunableModel`.
        """
        self.check(mode, prompt)
        low_rank.remove(self.network)
        chosen = choose(self.network, mode, self.parts)
        self._roles = {name: role for name, (role, _) in chosen.items()}
        self._trainable = {name: parameter for name, (_, parameter) in chosen.items()}
        self.offset = self.new_offset(prompt) if mode.tunes_offset else None
        if self.offset is not None:
            self._trainable[PROMPT_OFFSET] = self.offset
        if isinstance(mode, LoRA):
            self._trainable |= self.parts.adapt(self.network, mode, self.name)
        self._mode = mode
        return dict(self._trainable)

    def check(self, mode: TuningMode, prompt: Prompt) -> None:
        """Raise :class:`InputError` where a mode or prompt does not fit the model."""

    def new_offset(self, prompt: Prompt) -> nn.Parameter:
        """A zero offset for the tokens of a prompt.

        Raises:
            InputError: the model reads no prompts.
        """
        raise InputError(f"'{self.name}' reads no prompts: there is nothing to add an offset to")

    def train(self) -> None:
        """See :class:`TunableModel`: dropout in all of the network, in the language backbone or tower, or nowhere."""
        mode = self._mode
        assert mode is not None, "trainable() comes first"
        self.network.train(isinstance(mode, Full))
        awake = [self.language] if isinstance(mode, Language) and self.language else []
        for name in [*awake, *(self.tower if mode.tower_dropout else ())]:
            self.network.get_submodule(name).train()

    def use_checkpointing(self, on: bool) -> None:
        """See :class:`Model`."""
        recompute_layers(self.network, on=on)

    def parameter_groups(self, rates: OptimiserRates) -> list[dict[str, Any]]:
        """See :class:`TunableModel`; a tuned offset and a fresh class layer have learning rates of their own."""
        groups: dict[float, dict[str, nn.Parameter]] = {}
        for name, parameter in self._trainable.items():
            role = self._roles.get(name, name)
            fresh = rates.fresh_factor if role.startswith(CLASS_LAYER) else 1.0
            factor = rates.offset_factor if name == PROMPT_OFFSET else fresh
            groups.setdefault(factor, {})[role] = parameter
        return [
            {key: value for key, value in group.items() if key != "names"}
            for factor, some in groups.items()
            for group in tuning.parameter_groups(
                some, lr=rates.lr * factor, language_lr=rates.language_lr, weight_decay=rates.weight_decay
            )
        ]

    def tuned_state(self) -> dict[str, Tensor]:
        """See :class:`TunableModel`."""
        return {name: p.detach().to("cpu", copy=True).contiguous() for name, p in self._trainable.items()}

    def apply_tuned(self, mode: TuningMode, prompt: Prompt, state: Mapping[str, Tensor], *, source: str) -> None:
        """See :class:`TunableModel`."""
        for name, value in state.items():
            check_values(name, value, source)
        own = self.trainable(mode, prompt)
        wrong = [name for name, value in state.items() if name not in own or own[name].shape != value.shape]
        wrong += sorted(own.keys() - state.keys())
        if wrong:
            raise InputError(f"{source} do not fit the model '{self.name}' and mode '{mode.name}': {wrong[0]}")
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)

    @contextmanager
    def without_tuned_prompt(self) -> Iterator[None]:
        """See :class:`Model`: an offset belongs to the tokens of one prompt."""
        offset, self.offset = self.offset, None
        try:
            yield
        finally:
            self.offset = offset

    def can_cache(self, mode: TuningMode) -> bool:
        """See :class:`TunableModel`."""
        return mode.frozen_vision

    def normalisers(self, one: ModelInput, targets: Targets) -> dict[str, float]:
        """See :class:`TunableModel`: the losses of a batch are divided by its number of boxes."""
        return {"boxes": float(len(targets.labels))}

    @abstractmethod
    def depends_on(self, mode: TuningMode, prompt: AnyPrompt) -> dict[str, Any]:
        """What frozen features depend on beside model, weights and pixels, as JSON."""

    def features_identity(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> dict[str, Any] | None:
        """See :class:`TunableModel`: of the very pixels, so of image, preprocessing and augmentation alike.

        The libraries that compute them are named with their versions: a new one may compute other values.
        """
        if self.weights_sha256 is None:
            return None
        assert isinstance(one, ProcessedImage)
        return self.depends_on(mode, prompt) | {
            "model": self.name,
            "weights": self.weights_sha256,
            "libraries": libraries_of(self.network),
            "hw": [*one.hw],
            "shape": [*one.pixels.shape],
            "pixels": sha256_bytes(one.pixels.numpy().tobytes() + one.mask.numpy().tobytes()),
        }

    def unpack(self, packed: Packed) -> VisionFeatures:
        """See :class:`TunableModel`."""
        return VisionFeatures.unpack(packed)
