"""The base of all detectors: from pixels and a prompt to detections or losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip_core.config import DetectorConfig
from glip_core.detection.anchors import pyramid_anchors
from glip_core.detection.assigner import Assignment, assign
from glip_core.detection.losses import Normalisers, detection_losses, token_targets
from glip_core.images import load_image
from glip_core.modeling.block import Block
from glip_core.modeling.fpn import VisionBackbone
from glip_core.postprocess import PostprocessConfig, merge, postprocess
from glip_core.preprocess import pad_batch, resized_hw, scale_boxes, to_tensor
from glip_core.prompt import Prompt
from glip_core.types import Detections, EncodedPrompt, RawOutputs, Targets, TextFeatures

OnePrompt = Prompt | EncodedPrompt
"""A prompt that all images of a batch share, encoded already or not."""

Prompts = OnePrompt | Sequence[Prompt]
"""One prompt that all images of a batch share, or one per image."""


def plain_prompt(prompt: OnePrompt) -> Prompt:
    """The prompt without its encoding."""
    return prompt.prompt if isinstance(prompt, EncodedPrompt) else prompt


Wanted = OnePrompt | str | Sequence[str]
"""What people write: a prompt, a line that is parsed as one, or class names."""


def _per_image(prompt: Prompts, images: int) -> list[Prompt]:
    """One prompt for each of some images, without its encoding."""
    if isinstance(prompt, Prompt | EncodedPrompt):
        return [plain_prompt(prompt)] * images
    return list(prompt)


class Detector(nn.Module, ABC):
    """The common part of GLIP and DyHead: backbone, tower, anchors, losses, detections.

    The steps in order: :meth:`encode_image` and :meth:`encode_text`, :meth:`run_tower`, :meth:`run_heads`, then
    :meth:`losses_from_raw` or :meth:`detections_from_raw`. Each step can be called alone, so that what is frozen
    need not be computed twice. Nothing is cached inside: whoever shows many images the same prompt encodes it once,
    by :meth:`encode`, and passes the result in place of the prompt.

    Attributes:
        config: sizes and image rules.
        postprocessing: the thresholds of :meth:`detections_from_raw`.
        weights_sha256: identity of the loaded weights, None while they are random.
        ignored_weights: names in the loaded file that the detector had no use for, where it was read leniently.
        checkpointing: gradient checkpointing: keep only the inputs of the tower's blocks and the backbone's stages and
            recompute the rest in the backward pass: less memory, the same gradients, more time.
    """

    def __init__(self, config: DetectorConfig, *, vision: VisionBackbone, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.config = config
        self.vision = vision
        self.tower = nn.ModuleList(blocks)
        self.postprocessing = PostprocessConfig()
        self.weights_sha256: str | None = None
        self.ignored_weights: list[str] = []
        self.checkpointing = False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    # -- the parts ---------------------------------------------------------------------------------------------

    def encode_image(self, pixels: Tensor) -> list[Tensor]:
        """``[B, 3, H, W]`` normalised and padded to multiples of 32 -> P3..P7, ``[B, C, H/s, W/s]``."""
        return self.vision(pixels, checkpointing=self.checkpointing)

    @abstractmethod
    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Run the language backbone for a prompt once, without gradients and dropout, for use with many images.

        Raises:
            InputError: the prompt is longer than the model reads and cannot be split.
        """

    @abstractmethod
    def encode_text(self, prompt: Prompts) -> TextFeatures | None:
        """Token features of the prompt, a tuned offset included; None for a detector without text.

        The language backbone runs, unless the prompt is encoded already.
        """

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
    def token_map(self, prompt: OnePrompt) -> list[list[int]] | None:
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
        """The share of one image of padded size (H, W) in the normalisers of its batch."""
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
        prompts = _per_image(prompt, len(targets))
        width = raw.logits[0].shape[-1]
        device = raw.logits[0].device
        columns = [
            self._columns(p, width).to(device)[t.labels.to(device)] for p, t in zip(prompts, targets, strict=True)
        ]
        mask = self._token_mask(prompts, width, device)
        return self.losses_from_columns(raw, targets, columns, mask=mask, normalisers=normalisers)

    def losses_from_columns(
        self,
        raw: RawOutputs,
        targets: Sequence[Targets],
        columns: Sequence[Tensor],
        *,
        mask: Tensor | None = None,
        normalisers: Normalisers | None = None,
    ) -> dict[str, Tensor]:
        """:meth:`losses_from_raw` where the columns of each box are known.

        Args:
            raw: outputs for B images.
            targets: one per image; only their boxes matter here.
            columns: per image ``[M, T]``, 1 where a column of the logits should fire for a box, else 0.
            mask: bool ``[B, T]``, False at padding tokens; None: there are none.
            normalisers: see :meth:`losses_from_raw`.
        """
        width = raw.logits[0].shape[-1]
        assignments = self.assign(raw, targets)
        fill = token_targets(assignments, columns, background_column=0 < self.config.max_tokens == width)
        return detection_losses(
            raw,
            torch.cat(self.anchors(raw)),
            assignments,
            fill,
            mask=mask,
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
        self, raw: RawOutputs, image_sizes: Sequence[tuple[int, int]], prompt: OnePrompt
    ) -> list[Detections]:
        """Detections of each image, best first, boxes clipped to ``image_sizes`` (height, width before padding)."""
        with torch.no_grad():
            return postprocess(raw, self.anchors(raw), image_sizes, self.token_map(prompt), self.postprocessing)

    @torch.no_grad()
    def detect(self, pixels: Tensor, image_sizes: Sequence[tuple[int, int]], prompt: OnePrompt) -> list[Detections]:
        """Detections in a batch of padded images.

        Args:
            pixels: ``[B, 3, H, W]``, normalised and padded.
            image_sizes: (height, width) of each image before padding.
            prompt: the classes to look for, encoded already where many batches share them. More than the model
                reads at a time are asked for one prompt after the other (the official chunked evaluation); the best
                detections of all together are kept.
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

    def chunks(self, prompt: OnePrompt) -> Sequence[OnePrompt]:
        """The prompt in parts of as many tokens as the model reads; mostly the prompt alone."""
        return [prompt]

    @overload
    def predict(self, image: Sequence[Any], prompt: Wanted, *, threshold: float = 0.0) -> list[Detections]: ...
    @overload
    def predict(self, image: Any, prompt: Wanted, *, threshold: float = 0.0) -> Detections: ...
    def predict(self, image: Any, prompt: Wanted, *, threshold: float = 0.0) -> Detections | list[Detections]:
        """Detections in a photo, or in each of several.

        Args:
            image: a path, an address, a PIL image, an array ``[H, W, 3]`` of RGB bytes or a tensor ``[3, H, W]`` (see
                :func:`glip_core.images.load_image`); or a list of these.
            prompt: the classes to look for: a :class:`Prompt`, encoded already or not; a line such as ``"stingray,
                which is flat and round. fish"`` (:meth:`Prompt.parse`); or a list of class names.
            threshold: the least score that is kept, 0 to 1.

        Returns:
            Detections with boxes in the photo's own pixels, on the CPU; a list of them for a list of images.

        Raises:
            InputError: an image cannot be read, or the prompt names no class.
        """
        wanted = prompt if isinstance(prompt, EncodedPrompt) else Prompt.of(prompt)
        if isinstance(image, list | tuple):
            encoded = self.encode(wanted) if isinstance(wanted, Prompt) else wanted
            return [self._predict_one(one, encoded, threshold) for one in image]
        return self._predict_one(image, wanted, threshold)

    def _predict_one(self, image: Any, prompt: OnePrompt, threshold: float) -> Detections:
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
        names = tuple(plain_prompt(prompt).names)
        return Detections(boxes, found.scores, found.labels, names, photo).above(threshold)
