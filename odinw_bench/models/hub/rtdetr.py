"""RT-DETRv2 (Lv et al., 2024), D-FINE (Peng et al., ICLR 2025) and DEIMv2 (Huang et al., 2025)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from torch import Tensor, nn

from odinw_bench.models.hub.closed import ClosedSetModel
from odinw_bench.models.hub.features import VisionFeatures
from odinw_bench.models.hub.given import answered
from odinw_bench.models.hub.parts import Parts

_CLASS, _BOX = "rpn.head.cls_logits.", "rpn.head.bbox_pred."
_BOX_HEADS = {
    "model.decoder.bbox_embed.": _BOX,
    "bbox_embed.": _BOX,  # the very same modules
    "model.enc_bbox_head.": f"{_BOX}encoder.",
    "model.decoder.pre_bbox_head.": f"{_BOX}first.",
}


def _parts(backbone: str) -> Parts:
    """Of a network whose backbone has this name."""
    return Parts(
        roles={
            f"{backbone}.": "backbone.body.network.",
            "class_embed.": _CLASS,
            "model.decoder.class_embed.": _CLASS,
            "model.enc_score_head.": f"{_CLASS}encoder.",  # it chooses the queries: no mode may leave it random
            **_BOX_HEADS,
        },
        adapted={
            "vision": (f"{backbone}.",),
            "tower": (
                "model.encoder_input_proj.",
                "model.encoder.",
                "model.decoder_input_proj.",
                "model.decoder.layers.",
            ),
            "heads": tuple(_BOX_HEADS),
        },
        # Constants of D-FINE's intervals, which transformers keeps as parameters; what a Swin leaves out as backbone.
        unreached=("model.decoder.up", "model.decoder.reg_scale", f"{backbone}.model.swin.layernorm."),
    )


class RTDetrV2(ClosedSetModel):
    """A hybrid encoder, whose best places become the queries of a decoder.

    Denoising queries belong to the mode ``full`` alone, in which the network trains as a whole.
    """

    network_class: ClassVar[str] = "RTDetrV2ForObjectDetection"
    loss_names: ClassVar[Sequence[str]] = ("class", "box", "giou")
    class_layers: ClassVar[tuple[str, ...]] = (
        "class_embed.",
        "model.decoder.class_embed.",
        "model.enc_score_head",
        "model.denoising_class_embed",
    )
    placing: ClassVar[tuple[str, ...]] = (
        "model.decoder_input_proj",
        "model.enc_output",
        "model.enc_score_head",
        "model.enc_bbox_head",
        "model.decoder",
    )
    least_version: ClassVar[str] = "5.18"
    parts: ClassVar[Parts] = _parts("model.backbone")
    tower: ClassVar[tuple[str, ...]] = ("model.encoder", "model.decoder")

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        super().__init__(network, processor, weights_sha256)
        self.finest = min(network.config.feat_strides)
        network.config.anchor_image_size = None  # anchors of the image at hand: the same, and right for other sizes

    def train(self) -> None:
        """See :class:`TunableHubModel`; the decoder gives the outputs of all its layers, in every mode."""
        super().train()
        self.network.model.decoder.training = True  # its layers keep what the mode says of dropout

    def _maps(self, pixels: Tensor, mask: Tensor, *, encoded: bool) -> Sequence[Tensor]:
        body = self.network.model
        maps = [level for level, _ in body.backbone(pixels, mask)]
        if not encoded:
            return maps
        projected = [project(level) for project, level in zip(body.encoder_input_proj, maps, strict=True)]
        return list(body.encoder(projected).last_hidden_state)

    def _backbone(self, levels: Sequence[Tensor]) -> tuple[nn.Module, Any]:
        """The backbone, and what it would answer."""
        return self.network.model.backbone, [(level, None) for level in levels]

    def _go_on(self, features: VisionFeatures, labels: Mapping[str, Any]) -> Any:
        assert self._mode is not None
        levels, encoded = list(features.levels), self._mode.frozen_tower
        backbone, maps = self._backbone([] if encoded else levels)
        answers: dict[nn.Module, Callable[..., Any]] = {backbone: lambda *_, **__: maps}
        if encoded:
            found = SimpleNamespace(last_hidden_state=levels, feature_maps=levels, hidden_states=None, attentions=None)
            answers[self.network.model.encoder] = lambda *_, **__: found
        nothing = levels[0].new_zeros(1).expand(len(features.mask), 3, *features.mask.shape[-2:])
        with answered(answers):
            return self.network(pixel_values=nothing, pixel_mask=features.mask, **labels)


class DFine(RTDetrV2):
    """The same, with boxes as distributions of their sides; each layer learns from the last one's."""

    network_class: ClassVar[str] = "DFineForObjectDetection"
    loss_names: ClassVar[Sequence[str]] = ("class", "box", "giou", "corners", "distillation")


class Deimv2(DFine):
    """D-FINE on features of DINOv3 or a small HGNetV2, matched densely."""

    network_class: ClassVar[str] = "Deimv2ForObjectDetection"
    least_version: ClassVar[str] = ""
    parts: ClassVar[Parts] = _parts("model.conv_encoder")

    def _maps(self, pixels: Tensor, mask: Tensor, *, encoded: bool) -> Sequence[Tensor]:
        body = self.network.model
        maps: list[Tensor] = list(body.conv_encoder(pixels))
        return list(body.encoder(maps).feature_maps) if encoded else maps

    def _backbone(self, levels: Sequence[Tensor]) -> tuple[nn.Module, Any]:
        return self.network.model.conv_encoder, list(levels)
