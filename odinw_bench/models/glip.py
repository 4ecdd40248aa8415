"""GLIP and DyHead as models that can be run and tuned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import cache
from typing import Any, ClassVar

import torch
from PIL.Image import Image
from torch import Tensor, nn

import glip_core
from glip_core import Detections, Detector, EncodedPrompt, Prompt, RawOutputs, Targets, tuning
from glip_core.checkpoint import find_weights
from glip_core.config import DetectorConfig, get_config
from glip_core.detection.losses import LOSSES, Normalisers
from glip_core.detector import GLIP
from glip_core.detector.grounding import ground_features
from glip_core.files import file_sha256
from glip_core.modeling import low_rank
from glip_core.modes import PROMPT_OFFSET, TuningMode
from glip_core.modes.base import CLASS_LAYER
from glip_core.preprocess import pad_batch, resized_hw, to_tensor
from odinw_bench.models import limits
from odinw_bench.models.base import AnyPrompt, ModelFacts, ModelInput, Phrases
from odinw_bench.models.inputs import FrozenFeatures, PreparedImage, join_levels, join_text, split_levels
from odinw_bench.models.registry import preset_facts
from odinw_bench.models.tunable import OptimiserRates, Packed, TunableModel
from odinw_bench.utils.io import sha256_bytes


class GlipModel(TunableModel):
    """A GLIP, or a DyHead: the same backbone and tower with a class layer in place of the prompt.

    Attributes:
        network: the detector.

    Args:
        network: with its weights.
    """

    batch_size: ClassVar[int] = 8
    loss_names: ClassVar[Sequence[str]] = tuple(LOSSES)
    normaliser_names: ClassVar[Sequence[str]] = tuple(asdict(Normalisers(0.0, 0.0)))
    config: ClassVar[DetectorConfig]

    def __init__(self, network: Detector) -> None:
        self.network = network
        self.device = network.device
        self.ignored_weights = network.ignored_weights
        self._mode: TuningMode | None = None
        self._trainable: dict[str, nn.Parameter] = {}

    # -- identity and loading ----------------------------------------------------------------------------------

    @classmethod
    def facts(cls) -> ModelFacts:
        """See :class:`Model`."""
        return preset_facts(cls.config)

    @classmethod
    def identify(cls, weights: str | None) -> str:
        """See :class:`Model`; ``weights`` is a file or another preset's name."""
        return file_sha256(find_weights(cls.config, weights))

    @classmethod
    def load(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> GlipModel:
        """See :class:`Model`."""
        return cls._load(weights, device, classes, seed, lenient=False)

    @classmethod
    def load_lenient(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> GlipModel:
        """See :class:`Model`."""
        return cls._load(weights, device, classes, seed, lenient=True)

    @classmethod
    def _load(cls, weights: str | None, device: str, classes: int, seed: int, *, lenient: bool) -> GlipModel:
        columns = None if cls.config.has_text else classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # a fresh class layer is part of the run
            return cls(glip_core.load(cls.config.name, weights, num_classes=columns, device=device, lenient=lenient))

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return sum(p.numel() for p in self.network.parameters())

    # -- detection ---------------------------------------------------------------------------------------------

    def prepare(self, photo: Image, *, scale: float = 1.0, flip: bool = False) -> PreparedImage:
        """See :class:`Model`. Only the shorter side's length scales; the limit of the longer one stays, as official."""
        config = self.network.config
        hw = resized_hw(photo.size, round(config.image_short * scale), config.image_long)
        pixels, _ = pad_batch([to_tensor(photo, hw, flip=flip)])
        return PreparedImage(pixels.pin_memory() if self.network.device.type == "cuda" else pixels, hw)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See :class:`Model`; a tuned offset is added later."""
        return self.network.encode(prompt)

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`."""
        sizes = [one.hw for one in inputs]
        if isinstance(inputs[0], PreparedImage):
            return self.network.detect(self._pixels(inputs), sizes, prompt)
        return self.network.detections_from_raw(self._raw(inputs, prompt), sizes, prompt)

    @torch.no_grad()
    def ground_sentences(
        self, one: ModelInput, sentences: Sequence[tuple[str, Phrases]], *, apart: bool = False
    ) -> list[Detections]:
        """See :class:`Model`."""
        network = self.network
        if not isinstance(network, GLIP) or not isinstance(one, PreparedImage):
            return super().ground_sentences(one, sentences, apart=apart)
        levels = network.encode_image(self._pixels([one]))
        return [ground_features(network, levels, one.hw, text, phrases, apart=apart) for text, phrases in sentences]

    @torch.no_grad()
    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[FrozenFeatures]:
        """See :class:`Model`: the pyramid's maps; the tower's where no text goes into it."""
        levels, alone = self.network.encode_image(self._pixels(inputs)), not self.network.config.fusion
        return split_levels(self.network.run_tower(levels, None)[0] if alone else levels, inputs, tower_done=alone)

    @contextmanager
    def keeping(self, detections: int) -> Iterator[None]:
        """See :class:`Model`; of each pass, ties with the last one are kept too."""
        with limits.keeping(self.network, detections):
            yield

    def eval(self) -> None:
        """See :class:`Model`."""
        self.network.eval()

    def use_checkpointing(self, on: bool) -> None:
        """See :class:`Model`."""
        self.network.checkpointing = on

    # -- tuning ------------------------------------------------------------------------------------------------

    def trainable(self, mode: TuningMode, prompt: Prompt) -> dict[str, nn.Parameter]:
        """See :class:`TunableModel`; the names are those of the official checkpoints."""
        mode.check(self.network.config)
        self.network.token_map(prompt)  # tuning wants the whole prompt at once: a longer one ends the run here
        base = mode.prepare(self.network, prompt)
        added = mode.add_modules(self.network, prompt)
        self.network.to(self.network.device)
        self._mode, self._trainable = mode, base | added
        return dict(self._trainable)

    def encode_frozen(self, mode: TuningMode, prompt: Prompt) -> AnyPrompt:
        """See :class:`TunableModel`: token features where the language backbone is frozen."""
        return self.network.encode(prompt) if mode.frozen_text else prompt

    def train(self) -> None:
        """See :class:`TunableModel`."""
        assert self._mode is not None, "trainable() comes first"
        self._mode.train(self.network)

    def parameter_groups(self, rates: OptimiserRates) -> list[dict[str, Any]]:
        """See :class:`TunableModel`; a tuned offset and a fresh class layer have learning rates of their own."""
        factors = dict.fromkeys(self._trainable, 1.0)
        factors |= {name: rates.offset_factor for name in factors if name == PROMPT_OFFSET}
        factors |= {name: rates.fresh_factor for name in factors if name.startswith(CLASS_LAYER)}
        groups: list[dict[str, Any]] = []
        for factor in dict.fromkeys(factors.values()):
            some = {name: p for name, p in self._trainable.items() if factors[name] == factor}
            groups += tuning.parameter_groups(
                some, lr=rates.lr * factor, language_lr=rates.language_lr, weight_decay=rates.weight_decay
            )
        return [{name: value for name, value in group.items() if name != "names"} for group in groups]

    def normalisers(self, one: ModelInput, targets: Targets) -> dict[str, float]:
        """See :class:`TunableModel`."""
        assert isinstance(one, PreparedImage | FrozenFeatures)
        return asdict(self.network.normalisers(one.padded_hw, targets))

    def losses(
        self,
        inputs: Sequence[ModelInput],
        targets: Sequence[Targets],
        prompt: AnyPrompt,
        normalisers: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """See :class:`TunableModel`; the losses are computed in float32, whatever the network runs in."""
        if self.text_per_image and not isinstance(prompt, EncodedPrompt):
            prompt = [prompt] * len(inputs)
        with nullcontext() if self.network.checkpointing else low_rank.computed_once():
            raw = self._raw(inputs, prompt)
        with torch.autocast(self.network.device.type, enabled=False):
            return self.network.losses_from_raw(raw, targets, prompt, normalisers=Normalisers(**normalisers))

    def tuned_state(self) -> dict[str, Tensor]:
        """See :class:`TunableModel`."""
        return {name: p.detach().to("cpu", copy=True).contiguous() for name, p in self._trainable.items()}

    def apply_tuned(self, mode: TuningMode, prompt: Prompt, state: Mapping[str, Tensor], *, source: str) -> None:
        """See :class:`TunableModel`."""
        self._trainable = tuning.restore(self.network, mode, prompt, state, source=source)
        self._mode = mode

    @contextmanager
    def without_tuned_prompt(self) -> Iterator[None]:
        """See :class:`Model`: an offset belongs to the tokens of one prompt."""
        offset = getattr(self.network, "prompt_offset", None)
        if offset is None:
            yield
            return
        network: Any = self.network
        network.prompt_offset = None
        try:
            yield
        finally:
            network.prompt_offset = offset

    # -- frozen features ---------------------------------------------------------------------------------------

    def can_cache(self, mode: TuningMode) -> bool:
        """See :class:`TunableModel`."""
        return mode.frozen_vision

    @torch.no_grad()
    def features(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> FrozenFeatures:
        """See :class:`TunableModel`: the pyramid's maps, or the tower's where only the heads are trained."""
        assert mode.frozen_vision, mode.name
        assert isinstance(one, PreparedImage)
        levels, text = self.network.encode_image(one.on(self.network.device)), None
        if mode.frozen_tower:
            levels, text = self.network.run_tower(levels, self.network.encode_text(prompt))
        return FrozenFeatures(tuple(levels), text, one.hw, one.padded_hw, mode.frozen_tower)

    def features_identity(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> dict[str, Any] | None:
        """See :class:`TunableModel`: of the very pixels, so of image, preprocessing and augmentation alike."""
        if self.network.weights_sha256 is None:
            return None
        assert isinstance(one, PreparedImage)
        return {
            "model": self.network.config.name,
            "weights": self.network.weights_sha256,
            "prompt": _caption(prompt) if mode.frozen_tower and self.network.config.has_text else None,
            "tower": mode.frozen_tower,
            "hw": [*one.hw, *one.padded_hw],
            "pixels": sha256_bytes(one.pixels.numpy().tobytes()),
        }

    def unpack(self, packed: Packed) -> FrozenFeatures:
        """See :class:`TunableModel`."""
        return FrozenFeatures.unpack(packed)

    # -- inside ------------------------------------------------------------------------------------------------

    def _pixels(self, inputs: Sequence[ModelInput]) -> Tensor:
        """``[B, 3, H, W]`` on the network's device."""
        return torch.cat([one.on(self.network.device) for one in inputs if isinstance(one, PreparedImage)])

    def _raw(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> RawOutputs:
        """The network's outputs for images or features of one padded size."""
        if isinstance(inputs[0], PreparedImage):
            return self.network.forward_raw(self._pixels(inputs), prompt)
        features = [one for one in inputs if isinstance(one, FrozenFeatures)]
        levels = join_levels(features)
        if features[0].tower_done:
            return self.network.run_heads(levels, join_text(features) or self.network.encode_text(prompt))
        return self.network.run_heads(*self.network.run_tower(levels, self.network.encode_text(prompt)))


@cache
def preset(name: str) -> type[GlipModel]:
    """The class of a preset, with its configuration.

    Raises:
        InputError: there is no such preset.
    """
    config = get_config(name)
    facts = {"name": config.name, "title": config.title, "modes": preset_facts(config).modes, "config": config}
    return type(f"GlipModel[{name}]", (GlipModel,), {**facts, "__module__": __name__})


def _caption(prompt: AnyPrompt) -> str:
    plain: Prompt = prompt.prompt if isinstance(prompt, EncodedPrompt) else prompt
    return plain.caption
