"""Grounding DINO (Liu et al., ECCV 2024), MM-Grounding-DINO (Zhao et al., 2024) and LLMDet (Fu et al., CVPR 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glip_core import Detections, InputError, Prompt, Targets
from glip_core.modes import MODES, TuningMode
from odinw_bench.models.base import AnyPrompt, ModelInput
from odinw_bench.models.hub.base import ProcessedImage
from odinw_bench.models.hub.decode import best_of, best_pairs
from odinw_bench.models.hub.features import VisionFeatures, joined, split
from odinw_bench.models.hub.given import run, text_features, vision_features
from odinw_bench.models.hub.matching import LOSSES, grounding_loss, matched_labels, weighted
from odinw_bench.models.hub.parts import Parts
from odinw_bench.models.hub.precision import keep_float32
from odinw_bench.models.hub.proposals import with_proposals
from odinw_bench.models.hub.text import EncodedText, closed_caption
from odinw_bench.models.hub.tuned import TunableHubModel

_PARTS = Parts(
    roles={
        "model.backbone.": "backbone.body.network.",
        "model.text_backbone.": "language_backbone.body.model.",
        "model.text_projection.": "language_backbone.projection.",
        # The class score is a dot product of query and token, without a layer of its own: the last values on its way
        # are the scale and shift of the decoder's last normalisation, and MM-Grounding-DINO's bias.
        "model.decoder.layer_norm.": "rpn.head.dot_product_projection_text.norm.",
        "class_embed.": "rpn.head.dot_product_projection_text.",
        "bbox_embed.": "rpn.head.bbox_pred.",
        "model.decoder.bbox_embed.": "rpn.head.bbox_pred.",  # the very same modules: each layer refines by its head
        "model.decoder.class_embed.": "rpn.head.dot_product_projection_text.",
    },
    adapted={
        "vision": ("model.backbone.", "model.input_proj_vision."),
        "language": ("model.text_backbone.encoder.", "model.text_projection"),
        "fusion": tuple(
            f"model.encoder.layers.{n}.{x}" for n in range(24) for x in ("fusion_layer.", "text_enhancer_layer.")
        ),
        "tower": (*(f"model.encoder.layers.{n}.deformable_layer." for n in range(24)), "model.decoder.layers."),
        "heads": ("bbox_embed.", "model.decoder.bbox_embed."),
    },
    unreached=("model.backbone.conv_encoder.model.swin.layernorm.",),  # the backbone leaves it out
)


class GroundingDino(TunableHubModel):
    """A detector that compares queries with the tokens of a caption.

    The score of a class is the mean probability of its tokens (Grounding DINO paper, section 3; the evaluation of
    its authors normalises the map from tokens to classes).
    """

    modes: ClassVar[Sequence[str]] = tuple(MODES)
    network_class: ClassVar[str] = "GroundingDinoForObjectDetection"
    loss_names: ClassVar[Sequence[str]] = LOSSES
    normaliser_names: ClassVar[Sequence[str]] = ("boxes",)
    parts: ClassVar[Parts] = _PARTS
    language: ClassVar[str] = "model.text_backbone"
    tower: ClassVar[tuple[str, ...]] = ("model.encoder", "model.decoder")

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        super().__init__(network, processor, weights_sha256)
        check_special_tokens(self.name, network, processor.tokenizer)
        keep_float32(network, ("class_embed",))  # half precision would give many queries one score
        network.config.auxiliary_loss = True  # as all of these were trained; it is off in their configurations
        network.loss_function = grounding_loss
        network.model.text_projection.register_forward_hook(self._add_offset)
        network.model.register_forward_hook(with_proposals)

    def _add_offset(self, _module: nn.Module, _inputs: Any, features: Tensor) -> Tensor:
        return features if self.offset is None else features + self.offset

    # -- text --------------------------------------------------------------------------------------------------

    def encode(self, prompt: Prompt) -> EncodedText:
        """See :class:`Model`; a tuned offset is added later. Classes that do not fit into one text go in parts."""
        read = self._read(prompt)
        with torch.no_grad():
            if not read.parts:
                return read.with_features(text_features(self.network, read.ids))
            return EncodedText(prompt, read.ids, read.tokens, None, tuple(self.encode(x.prompt) for x in read.parts))

    def _read(self, prompt: Prompt) -> EncodedText:
        encoding = self.processor.tokenizer(closed_caption(prompt), truncation=False).encodings[0]
        ids = torch.tensor([encoding.ids], device=self.device)
        tokens = tuple(tuple(one) for one in prompt.token_map(encoding))
        if len(encoding.ids) <= self.network.config.max_text_len:
            return EncodedText(prompt, ids, tokens)
        if len(prompt) == 1:
            raise InputError(f"'{prompt.names[0][:60]}' alone is longer than the text that '{self.name}' reads")
        half = len(prompt) // 2
        halves = (self._read(prompt.part(0, half)), self._read(prompt.part(half, len(prompt))))
        parts = tuple(part for one in halves for part in (one.parts or (one,)))
        return EncodedText(prompt, ids, tokens, None, parts)

    def _text(self, prompt: AnyPrompt) -> EncodedText:
        return prompt if isinstance(prompt, EncodedText) else self._read(prompt)

    def _features(self, text: EncodedText) -> Tensor:
        return text_features(self.network, text.ids) if text.features is None else text.features

    # -- detection ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_images(self, inputs: Sequence[ModelInput]) -> Sequence[VisionFeatures]:
        """See :class:`Model`: backbone and projection, whatever is asked for."""
        return split(self._vision(inputs), [one.hw for one in inputs])

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`; vision features are computed once, however many parts the prompt has."""
        vision, text = self._vision(inputs), self._text(prompt)
        found: list[list[Detections]] = [[] for _ in inputs]
        first = 0
        for part in text.parts or (text,):
            outputs = run(self.network, vision, self._features(part), part.ids)
            for number, one in enumerate(inputs):
                logits, boxes = outputs.logits[number].float(), outputs.pred_boxes[number].float()
                found[number].append(best_pairs(logits, boxes, part.tokens, one.hw, first))
            first += len(part)
        return [best_of(parts) for parts in found]

    def _vision(self, inputs: Sequence[ModelInput]) -> VisionFeatures:
        if isinstance(inputs[0], VisionFeatures):
            return joined([one for one in inputs if isinstance(one, VisionFeatures)])
        images = [one for one in inputs if isinstance(one, ProcessedImage)]
        pixels, mask = torch.cat([one.pixels for one in images]), torch.cat([one.mask for one in images])
        return vision_features(self.network, pixels.to(self.device), mask.to(self.device), images[0].hw)

    # -- tuning ------------------------------------------------------------------------------------------------

    def check(self, mode: TuningMode, prompt: Prompt) -> None:
        """See :class:`TunableHubModel`: tuning wants the whole prompt at once, and a token for each class."""
        text = self._read(prompt)
        if text.parts:
            most = self.network.config.max_text_len
            raise InputError(
                f"the prompt has {text.ids.shape[1]} tokens, '{self.name}' is tuned with {most} at most: use fewer "
                "classes or shorter attributes"
            )
        for name, tokens in zip(prompt.names, text.tokens, strict=True):
            if not tokens:
                raise InputError(f"the class '{name}' has no token that '{self.name}' reads: give it another name")

    def new_offset(self, prompt: Prompt) -> nn.Parameter:
        """See :class:`TunableHubModel`: a row per token, added to what enters the fusion."""
        return nn.Parameter(torch.zeros(self._read(prompt).ids.shape[1], self.network.config.d_model).to(self.device))

    def encode_frozen(self, mode: TuningMode, prompt: Prompt) -> AnyPrompt:
        """See :class:`TunableModel`: token features where the language backbone is frozen."""
        return self.encode(prompt) if mode.frozen_text else prompt

    def losses(
        self,
        inputs: Sequence[ModelInput],
        targets: Sequence[Targets],
        prompt: AnyPrompt,
        normalisers: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """See :class:`TunableModel`; those of all decoder layers and of the encoder's proposals, weighted."""
        text = self._text(prompt)
        if self.text_per_image and text.features is None:
            features = text_features(self.network, text.ids.expand(len(inputs), -1))
        else:
            features = self._features(text)
        label_map = text.label_map(self.network.config.max_text_len)
        labels = [matched_labels(found, one.hw, label_map) for found, one in zip(targets, inputs, strict=True)]
        outputs = run(self.network, self._vision(inputs), features, text.ids, labels=labels)
        boxes = sum(len(found.labels) for found in targets)
        share = max(boxes, 1) / max(normalisers["boxes"], 1.0)
        return weighted(outputs.loss_dict, self.network.config, share)

    # -- frozen features ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def features(self, mode: TuningMode, one: ModelInput, prompt: AnyPrompt) -> VisionFeatures:
        """See :class:`TunableModel`: the projected maps, or the encoder's where only the heads are trained."""
        assert mode.frozen_vision, mode.name
        vision = self._vision([one])
        if not mode.frozen_tower:
            return vision
        text = self._text(prompt)
        outputs = run(self.network, vision, self._features(text), text.ids)
        fused = outputs.encoder_last_hidden_state_vision, outputs.encoder_last_hidden_state_text
        return VisionFeatures((), vision.shapes, vision.mask, vision.hw, fused)

    def depends_on(self, mode: TuningMode, prompt: AnyPrompt) -> dict[str, Any]:
        """See :class:`TunableHubModel`."""
        return {"prompt": self._text(prompt).prompt.caption if mode.frozen_tower else None}


class MMGroundingDino(GroundingDino):
    """The same with heads of its own for each decoder layer and a bias on the class scores; LLMDet is one too."""

    network_class: ClassVar[str] = "MMGroundingDinoForObjectDetection"


def check_special_tokens(name: str, network: Any, tokenizer: Any) -> None:
    """Check that a tokenizer gives the tokens that split a caption the ids that are written into the network.

    With others its text masks would be wrong, without an error.

    Raises:
        InputError: it gives others.
    """
    marks = [tokenizer.cls_token, tokenizer.sep_token, ".", "?"]
    expected = network.model.special_tokens.tolist()
    found = tokenizer.convert_tokens_to_ids(marks)
    if found != expected:
        raise InputError(
            f"the tokenizer of '{name}' has the ids {found} for {' '.join(map(str, marks))}, its network counts on "
            f"{expected}: use the vocabulary of bert-base-uncased"
        )
