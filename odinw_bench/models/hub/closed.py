"""Closed-set query detectors: a class layer in place of a prompt, new for every task."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glip_core import Detections, InputError, Prompt, Targets
from glip_core.modes import TuningMode
from odinw_bench.models.base import AnyPrompt, ModelFacts, ModelInput
from odinw_bench.models.hub.base import ProcessedImage
from odinw_bench.models.hub.class_layers import renew
from odinw_bench.models.hub.closed_loss import by_kind, guarded
from odinw_bench.models.hub.decode import best_scores
from odinw_bench.models.hub.features import VisionFeatures, joined
from odinw_bench.models.hub.matching import relative_boxes
from odinw_bench.models.hub.precision import keep_float32
from odinw_bench.models.hub.tuned import TunableHubModel


class ClosedSetModel(TunableHubModel):
    """What the closed-set families share.

    Batch normalisation keeps its running statistics while tuning, whatever the mode: few images give bad ones, and
    they would be no part of ``tuned.safetensors``.

    Attributes:
        class_layers: beginnings of the names of what is recreated for a task's classes.
        placing: names of all modules behind the encoder, which choose, score and place boxes.
        side: a multiple of which the sides of its images must be, where the processor makes squares.
        finest: pixels between two places of its finest level.
        least_version: of transformers, from which its loss is right; empty: it always was.
    """

    modes: ClassVar[Sequence[str]] = ("linear", "full", "bias", "norm", "lora", "dora")
    normaliser_names: ClassVar[Sequence[str]] = ("boxes",)
    class_layers: ClassVar[tuple[str, ...]]
    placing: ClassVar[tuple[str, ...]]
    side: int = 32
    finest: int = 8
    least_version: ClassVar[str] = ""

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        super().__init__(network, processor, weights_sha256)
        network.loss_function = guarded(network.loss_function)
        keep_float32(network, self.placing)

    @classmethod
    def facts(cls) -> ModelFacts:
        """See :class:`Model`: no text."""
        return ModelFacts(cls.name, has_text=False, nano=cls.nano, modes=cls.modes)

    @classmethod
    def _network(cls, network_class: Any, folder: Path, classes: int) -> Any:
        network = super()._network(network_class, folder, classes)
        if classes:
            renew(network, cls.class_layers, classes)
        return network

    def scaled_side(self, length: float) -> int:
        """See :class:`HubModel`: its levels must fit on each other, and hold as many places as there are queries."""
        least = math.ceil(math.ceil(math.sqrt(self.network.config.num_queries)) * self.finest / self.side)
        return max(least, round(length / self.side)) * self.side

    # -- detection ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`; of the prompt only the number of classes counts."""
        outputs = self._run(inputs)
        return [
            best_scores(logits.float().sigmoid(), boxes.float(), one.hw)
            for logits, boxes, one in zip(outputs.logits, outputs.pred_boxes, inputs, strict=True)
        ]

    def _run(self, inputs: Sequence[ModelInput], **labels: Any) -> Any:
        if isinstance(inputs[0], VisionFeatures):
            return self._go_on(joined([one for one in inputs if isinstance(one, VisionFeatures)]), labels)
        pixels, mask = self._pixels(inputs)
        return self.network(pixel_values=pixels, pixel_mask=mask, **labels)

    def _pixels(self, inputs: Sequence[ModelInput]) -> tuple[Tensor, Tensor]:
        images = [one for one in inputs if isinstance(one, ProcessedImage)]
        pixels, mask = torch.cat([one.pixels for one in images]), torch.cat([one.mask for one in images])
        return pixels.to(self.device), mask.to(self.device)

    @abstractmethod
    def _maps(self, pixels: Tensor, mask: Tensor, *, encoded: bool) -> Sequence[Tensor]:
        """The backbone's maps, or (``encoded``) what enters the decoder, where that is something else."""

    @abstractmethod
    def _go_on(self, features: VisionFeatures, labels: Mapping[str, Any]) -> Any:
        """The network's outputs for what :meth:`_maps` gave in the mode in force."""

    # -- tuning ------------------------------------------------------------------------------------------------

    def check(self, mode: TuningMode, prompt: Prompt) -> None:
        """See :class:`TunableHubModel`: a version of transformers whose loss is right, and a layer for the classes."""
        import transformers
        from packaging.version import Version

        if self.least_version and Version(transformers.__version__) < Version(self.least_version):
            raise InputError(
                f"tuning '{self.name}' needs transformers {self.least_version} or newer, this is "
                f"{transformers.__version__}, whose main loss counts denoising queries: "
                "pip install --upgrade transformers"
            )
        if len(prompt) != self.network.config.num_labels:
            raise InputError(
                f"'{self.name}' has a layer for {self.network.config.num_labels} classes, the task has {len(prompt)}"
            )

    def train(self) -> None:
        """See :class:`TunableHubModel`; batch normalisation keeps its statistics."""
        super().train()
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def encode_frozen(self, mode: TuningMode, prompt: Prompt) -> AnyPrompt:
        """See :class:`TunableModel`: there is no text."""
        return prompt

    def losses(
        self,
        inputs: Sequence[ModelInput],
        targets: Sequence[Targets],
        prompt: AnyPrompt,
        normalisers: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """See :class:`TunableModel`; those of all layers and of the encoder's proposals, weighted."""
        labels = [
            {"class_labels": found.labels, "boxes": relative_boxes(found.boxes, one.hw)}
            for found, one in zip(targets, inputs, strict=True)
        ]
        outputs = self._run(inputs, labels=labels)
        boxes = sum(len(found.labels) for found in targets)
        share = max(boxes, self._least()) / max(normalisers["boxes"], 1.0)
        return by_kind(outputs.loss_dict, tuple(self.loss_names), share, self._weights())

    def _least(self) -> float:
        """What the losses of images without boxes are divided by, in boxes."""
        return 1.0

    def _weights(self) -> Mapping[str, float]:
        """Weights of losses that transformers gives without."""
        return {}

    # -- frozen features ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def features(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> VisionFeatures:
        """See :class:`TunableModel`: the backbone's maps, or the encoder's where only the heads are trained."""
        assert mode.frozen_vision, mode.name
        pixels, mask = self._pixels([one])
        levels = tuple(self._maps(pixels, mask, encoded=mode.frozen_tower))
        return VisionFeatures(levels, tuple((x.shape[-2], x.shape[-1]) for x in levels), mask, one.hw)

    def depends_on(self, mode: TuningMode, prompt: AnyPrompt) -> dict[str, Any]:
        """See :class:`TunableHubModel`."""
        return {"tower": mode.frozen_tower}
