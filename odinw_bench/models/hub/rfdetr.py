"""RF-DETR (Robinson et al., 2025): DINOv2 and a decoder, trained with several groups of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from glip_core.modes.paper import Full
from odinw_bench.models.hub.closed import ClosedSetModel
from odinw_bench.models.hub.features import VisionFeatures
from odinw_bench.models.hub.given import answered
from odinw_bench.models.hub.parts import Parts
from odinw_bench.models.hub.precision import give_float32

_CLASS, _BOX = "rpn.head.cls_logits.", "rpn.head.bbox_pred."


class RfDetr(ClosedSetModel):
    """A detector whose decoder has several groups of queries while it is tuned, in every mode, and then one.

    All groups train the same layers, but for the ones that choose their places. There is no encoder: the backbone's
    output is what enters the decoder, whose dropout is active in training steps as its checkpoint says.
    """

    network_class: ClassVar[str] = "RfDetrForObjectDetection"
    loss_names: ClassVar[Sequence[str]] = ("class", "box", "giou")
    class_layers: ClassVar[tuple[str, ...]] = ("class_embed", "model.enc_out_class_embed.")
    placing: ClassVar[tuple[str, ...]] = (
        "model.enc_output",
        "model.enc_output_norm",
        "model.enc_out_class_embed",
        "model.enc_out_bbox_embed",
        "model.decoder",
        "class_embed",
        "bbox_embed",
    )
    parts: ClassVar[Parts] = Parts(
        roles={
            "model.backbone.": "backbone.body.network.",
            "class_embed.": _CLASS,
            "model.enc_out_class_embed.": f"{_CLASS}encoder.",
            "bbox_embed.": _BOX,
            "model.enc_out_bbox_embed.": f"{_BOX}encoder.",
        },
        adapted={
            "vision": ("model.backbone.",),
            "tower": ("model.enc_output.", "model.decoder."),
            "heads": ("bbox_embed.", "model.enc_out_bbox_embed."),
        },
        unreached=("model.backbone.backbone.embeddings.mask_token",),  # for pre-training with hidden patches
    )
    tower: ClassVar[tuple[str, ...]] = ("model.decoder",)

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        super().__init__(network, processor, weights_sha256)
        give_float32(network.model.backbone)  # the proposals take its precision
        body = network.config.backbone_config
        patch = body.patch_size if isinstance(body.patch_size, int) else body.patch_size[0]
        self.side, self.finest = patch * body.num_windows, patch

    def train(self) -> None:
        """See :class:`TunableHubModel`; a frozen backbone stays as it is in evaluation."""
        super().train()
        if not isinstance(self._mode, Full):
            self.network.train()
            self.network.model.backbone.eval()

    def _maps(self, pixels: Tensor, mask: Tensor, *, encoded: bool) -> Sequence[Tensor]:
        found, _ = self.network.model.backbone(pixels, mask)
        return [found]

    def _go_on(self, features: VisionFeatures, labels: Mapping[str, Any]) -> Any:
        from torch.nn.functional import interpolate

        (level,) = features.levels
        mask = interpolate(features.mask[None].float(), size=level.shape[-2:])[0].bool()
        nothing = level.new_zeros(1).expand(len(level), 3, *features.mask.shape[-2:])
        with answered({self.network.model.backbone: lambda *_, **__: (level, mask)}):
            return self.network(pixel_values=nothing, pixel_mask=features.mask, **labels)

    def _least(self) -> float:
        return 1.0 / self.network.config.group_detr  # it divides by boxes times groups, and by 1 at least

    def _weights(self) -> Mapping[str, float]:
        config = self.network.config
        return {
            "loss_ce": config.class_loss_coefficient,
            "loss_bbox": config.bbox_loss_coefficient,
            "loss_giou": config.giou_loss_coefficient,
        }
