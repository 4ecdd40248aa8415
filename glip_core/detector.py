"""The detectors: how the pieces are put together, from pixels and a prompt to detections or losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip_core.config import DetectorConfig
from glip_core.detection.anchors import pyramid_anchors
from glip_core.detection.assigner import Assignment, assign
from glip_core.detection.losses import Normalisers, detection_losses, token_targets
from glip_core.errors import InputError
from glip_core.modeling.bert import LanguageBackbone
from glip_core.modeling.dyhead import DyConv
from glip_core.modeling.fusion import Fusion, LanguageLayer
from glip_core.modeling.heads import AlignmentHead, ClassHead
from glip_core.modeling.swin import VisionBackbone
from glip_core.postprocess import PostprocessConfig, merge, postprocess
from glip_core.preprocess import load_image, pad_batch, resized_hw, scale_boxes, to_tensor
from glip_core.prompt import Prompt
from glip_core.types import Detections, RawOutputs, Targets, TextFeatures

Prompts = Prompt | Sequence[Prompt]
"""One prompt that all images of a batch share, or one per image."""


class Block(nn.Module):
    """One block of the head: deep fusion, a language layer, DyConv; without fusion DyConv alone."""

    def __init__(self, *, dyconv: DyConv, fusion: Fusion | None = None, language: LanguageLayer | None = None) -> None:
        super().__init__()
        self.fusion, self.language, self.dyconv = fusion, language, dyconv

    def forward(self, levels: list[Tensor], text: TextFeatures | None) -> tuple[list[Tensor], TextFeatures | None]:
        """Maps and text -> maps of the same shapes and the fused text."""
        if self.fusion is not None and self.language is not None and text is not None:
            levels, hidden = self.fusion(levels, text.hidden, text.mask)
            text = TextFeatures(text.embedded, self.language(hidden, text.mask), text.mask)
        return self.dyconv(levels), text


class Detector(nn.Module, ABC):
    """What GLIP and DyHead share: backbone, tower, anchors, losses, detections.

    The way of the data: :meth:`encode_image` and :meth:`encode_text`, :meth:`run_tower`, :meth:`run_heads`, then
    :meth:`losses_from_raw` or :meth:`detections_from_raw`. Each step can be called alone, so that what is frozen
    need not be computed twice.

    Attributes:
        config: sizes and image rules.
        postprocessing: the thresholds of :meth:`detections_from_raw`.
        weights_sha256: identity of the loaded weights, None while they are random.
        checkpointing: while gradients are wanted, keep only what goes in and out of the tower's blocks and the
            backbone's stages, and compute the rest again on the way back: less memory, the same gradients, more time.
    """

    def __init__(self, config: DetectorConfig, *, vision: VisionBackbone, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.config = config
        self.vision = vision
        self.tower = nn.ModuleList(blocks)
        self.postprocessing = PostprocessConfig()
        self.weights_sha256: str | None = None
        self.checkpointing = False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    # -- the parts ---------------------------------------------------------------------------------------------

    def encode_image(self, pixels: Tensor) -> list[Tensor]:
        """``[B, 3, H, W]`` normalised and padded to multiples of 32 -> P3..P7, ``[B, C, H/s, W/s]``."""
        self.vision.swin.checkpointing = self.checkpointing
        return self.vision(pixels)

    @abstractmethod
    def encode_text(self, prompt: Prompts) -> TextFeatures | None:
        """Token features of the prompt, a tuned offset included; None for a detector without text."""

    def run_tower(self, features: list[Tensor], text: TextFeatures | None) -> tuple[list[Tensor], TextFeatures | None]:
        """Everything before the heads: (maps, text) -> (maps, fused text)."""
        for block in self.tower:
            if self.checkpointing and torch.is_grad_enabled():
                features, text = checkpoint(block, features, text, use_reentrant=False)
            else:
                features, text = block(features, text)
        return features, text

    @abstractmethod
    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """Outputs of the heads on the tower's maps."""

    @abstractmethod
    def token_map(self, prompt: Prompt) -> list[list[int]] | None:
        """The logit columns of each class; None where columns are classes."""

    @abstractmethod
    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        """``[classes, width]`` of 0 and 1: the columns that should fire for each class."""

    def forward_raw(self, pixels: Tensor, prompt: Prompts) -> RawOutputs:
        """All of the network: pixels ``[B, 3, H, W]`` and a prompt -> :class:`RawOutputs`."""
        return self.run_heads(*self.run_tower(self.encode_image(pixels), self.encode_text(prompt)))

    # -- training ----------------------------------------------------------------------------------------------

    def anchors(self, raw: RawOutputs) -> list[Tensor]:
        """The anchors of each level, ``[H*W, 4]``."""
        return pyramid_anchors(
            [(c.shape[-2], c.shape[-1]) for c in raw.centerness],
            sizes=self.config.anchor_sizes,
            strides=self.config.anchor_strides,
            device=raw.centerness[0].device,
        )

    def assign(self, raw: RawOutputs, targets: Sequence[Targets]) -> list[Assignment]:
        """ATSS assignment of each image; only the shapes of ``raw`` matter."""
        anchors = self.anchors(raw)
        return [assign(anchors, target.boxes) for target in targets]

    def normalisers(self, padded_hw: tuple[int, int], targets: Targets) -> Normalisers:
        """What one image of padded size (H, W) adds to the normalisers of the batch it is part of."""
        height, width = padded_hw  # strided convolutions round up
        sizes = [(-(-height // stride), -(-width // stride)) for stride in self.config.anchor_strides]
        anchors = pyramid_anchors(
            sizes,
            sizes=self.config.anchor_sizes,
            strides=self.config.anchor_strides,
            device=targets.boxes.device,
        )
        return Normalisers.of([assign(anchors, targets.boxes)])

    def losses_from_raw(
        self,
        raw: RawOutputs,
        targets: Sequence[Targets],
        prompt: Prompts,
        *,
        normalisers: Normalisers | None = None,
    ) -> dict[str, Tensor]:
        """The losses of a batch: scalars ``alignment``, ``box`` and ``centerness``; train on their sum.

        For a class head ``alignment`` is the focal loss over class columns.

        Args:
            raw: outputs for B images.
            targets: one per image, in pixels of the network input, labels in prompt order.
            prompt: the prompt of the outputs, or one per image.
            normalisers: of the whole batch, where these images are only a part of it.
        """
        prompts = [prompt] * len(targets) if isinstance(prompt, Prompt) else list(prompt)
        width = raw.logits[0].shape[-1]
        device = raw.logits[0].device
        columns = [
            self._columns(p, width).to(device)[t.labels.to(device)] for p, t in zip(prompts, targets, strict=True)
        ]
        assignments = self.assign(raw, targets)
        fill = token_targets(assignments, columns, background_column=0 < self.config.max_tokens == width)
        return detection_losses(
            raw,
            torch.cat(self.anchors(raw)),
            assignments,
            fill,
            mask=self._token_mask(prompts, width, device),
            normalisers=normalisers,
        )

    def _token_mask(self, prompts: Sequence[Prompt], width: int, device: torch.device) -> Tensor | None:
        """Bool ``[B, T]``, False at padding tokens; None where there are none."""
        return None

    def loss(self, pixels: Tensor, targets: Sequence[Targets], prompt: Prompts) -> dict[str, Tensor]:
        """The losses of a batch of images of one padded size (see :meth:`losses_from_raw`)."""
        return self.losses_from_raw(self.forward_raw(pixels, prompt), targets, prompt)

    # -- detection ---------------------------------------------------------------------------------------------

    def detections_from_raw(
        self, raw: RawOutputs, image_sizes: Sequence[tuple[int, int]], prompt: Prompt
    ) -> list[Detections]:
        """Detections of each image, best first, boxes clipped to ``image_sizes`` (height, width before padding)."""
        with torch.no_grad():
            return postprocess(raw, self.anchors(raw), image_sizes, self.token_map(prompt), self.postprocessing)

    @torch.no_grad()
    def detect(self, pixels: Tensor, image_sizes: Sequence[tuple[int, int]], prompt: Prompt) -> list[Detections]:
        """Detections in a batch of padded images.

        Args:
            pixels: ``[B, 3, H, W]``, normalised and padded.
            image_sizes: (height, width) of each image before padding.
            prompt: the classes to look for. More than the model reads at a time are asked for one prompt after the
                other (the official chunked evaluation); the best detections of all together are kept.
        """
        parts = self.chunks(prompt)
        if len(parts) == 1:
            return self.detections_from_raw(self.forward_raw(pixels, prompt), image_sizes, prompt)
        levels = self.encode_image(pixels)
        found: list[list[Detections]] = [[] for _ in image_sizes]
        first = 0
        for part in parts:
            raw = self.run_heads(*self.run_tower(levels, self.encode_text(part)))
            for mine, one in zip(found, self.detections_from_raw(raw, image_sizes, part), strict=True):
                mine.append(Detections(one.boxes, one.scores, one.labels + first))
            first += len(part)
        return [merge(mine, self.postprocessing.per_image) for mine in found]

    def chunks(self, prompt: Prompt) -> list[Prompt]:
        """The prompt in parts of as many tokens as the model reads; mostly the prompt alone."""
        return [prompt]

    def predict(self, image: Any, prompt: Prompt) -> Detections:
        """Detections in one photo.

        Args:
            image: a path, a PIL image or an array ``[H, W, 3]`` of RGB bytes.
            prompt: the classes to look for.

        Returns:
            Detections with boxes in the photo's own pixels.

        Raises:
            InputError: the image cannot be read.
        """
        photo = load_image(image)
        hw = resized_hw(photo.size, self.config.image_short, self.config.image_long)
        pixels, sizes = pad_batch([to_tensor(photo, hw)])
        training = self.training
        self.eval()
        try:
            found = self.detect(pixels.to(self.device), sizes, prompt)[0].to("cpu")
        finally:
            self.train(training)
        boxes = scale_boxes(found.boxes, hw, (photo.height, photo.width))
        return Detections(boxes, found.scores, found.labels)


class GLIP(Detector):
    """Grounded Language-Image Pre-training (Li et al., CVPR 2022): classes are words of a prompt."""

    def __init__(
        self,
        config: DetectorConfig,
        *,
        vision: VisionBackbone,
        language: LanguageBackbone,
        blocks: Sequence[Block],
        head: AlignmentHead,
    ) -> None:
        super().__init__(config, vision=vision, blocks=blocks)
        self.language = language
        self.head = head
        self.prompt_offset: nn.Parameter | None = None
        self._texts: dict[tuple, TextFeatures] = {}

    def encode_language(self, prompt: Prompts) -> TextFeatures:
        """Token features as the language backbone gives them, without a tuned offset.

        One prompt is encoded once: the features are kept while the backbone is frozen and in evaluation mode, and
        forgotten when any of its weights changes.
        """
        weights = list(self.language.parameters())
        frozen = not torch.is_grad_enabled() or not any(w.requires_grad for w in weights)
        if self.language.training or not frozen or not isinstance(prompt, Prompt):
            return self.language(prompt)
        device = weights[0].device
        key = (
            prompt.caption,
            device,
            weights[0].data_ptr(),
            sum(w._version for w in weights),
            torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None,
        )
        if key not in self._texts:
            with torch.inference_mode(False), torch.no_grad():
                if len(self._texts) >= 32:
                    self._texts.clear()
                self._texts[key] = self.language(prompt)
        return self._texts[key]

    def encode_text(self, prompt: Prompts) -> TextFeatures:
        """Token features, a tuned offset included.

        Raises:
            InputError: the prompt is longer than the model reads.
        """
        text = self.encode_language(prompt)
        if self.prompt_offset is None:
            return text
        tokens = text.hidden.shape[1]
        if tokens > len(self.prompt_offset):
            raise InputError(
                f"the prompt has {tokens} tokens but the tuned offset {len(self.prompt_offset)}: "
                "use the prompt that was tuned"
            )
        offset = self.prompt_offset[:tokens]
        return TextFeatures(text.embedded + offset, text.hidden + offset, text.mask)

    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """Alignment logits per token, box offsets, centerness."""
        if text is None:
            raise ValueError("GLIP needs text features")
        return self.head(features, text.hidden if self.config.fusion else text.embedded)

    def chunks(self, prompt: Prompt) -> list[Prompt]:
        """See :meth:`glip_core.modeling.bert.LanguageBackbone.chunks`."""
        return self.language.chunks(prompt)

    def token_map(self, prompt: Prompt) -> list[list[int]]:
        """The tokens of each class."""
        return self.language.token_map(prompt)

    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        columns = torch.zeros(len(prompt), width)
        for label, tokens in enumerate(self.token_map(prompt)):
            columns[label, tokens] = 1
        return columns

    def _token_mask(self, prompts: Sequence[Prompt], width: int, device: torch.device) -> Tensor | None:
        if all(p is prompts[0] for p in prompts):
            return None
        lengths = torch.tensor([len(self.language.tokenize(p).ids) for p in prompts], device=device)
        return torch.arange(width, device=device)[None] < lengths[:, None]


class DyHead(Detector):
    """The class-head baseline (Dai et al. 2021): the same backbone and tower, one output per known class."""

    def __init__(
        self, config: DetectorConfig, *, vision: VisionBackbone, blocks: Sequence[Block], head: ClassHead
    ) -> None:
        super().__init__(config, vision=vision, blocks=blocks)
        self.head = head

    @property
    def num_classes(self) -> int:
        """Columns of the class layer."""
        return self.head.cls_logits.out_channels

    def encode_text(self, prompt: Prompts) -> None:
        """Nothing: classes are indices here."""
        return None

    def run_heads(self, features: list[Tensor], text: TextFeatures | None) -> RawOutputs:
        """Class logits, box offsets, centerness."""
        return self.head(features)

    def token_map(self, prompt: Prompt) -> None:
        """None: columns are classes.

        Raises:
            InputError: the prompt names another number of classes than the class layer has.
        """
        if len(prompt) != self.num_classes:
            raise InputError(
                f"the class layer of '{self.config.name}' knows {self.num_classes} classes, the task has {len(prompt)}"
            )
        return None

    def _columns(self, prompt: Prompt, width: int) -> Tensor:
        self.token_map(prompt)
        return torch.eye(width)
