"""The embedded query detectors: miniature configurations of classes of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from glip_core import Detector, InputError
from glip_core.config import PRESETS, DetectorConfig, SwinConfig, TextConfig
from odinw_bench.mini.pretraining import DETECTION_CLASSES
from odinw_bench.models.hub.loading import no_advice_on_width
from odinw_bench.pretraining.query.borrowed import borrow_swin, borrow_text, vocabulary

MOST_TOKENS = 256


@dataclass(frozen=True)
class QueryNetwork:
    """One of them.

    Attributes:
        like: the preset that reads the same images and prompts, with a Swin (and text encoder) of the same size.
        kind: of its class in transformers.
    """

    like: str
    kind: str


NETWORKS: Mapping[str, QueryNetwork] = {
    "gdino-nano": QueryNetwork("glip-nano", "MMGroundingDino"),
    "rtdetr-nano": QueryNetwork("dyhead-nano", "RTDetrV2"),
}


def new_network(model: str, beginning: Detector) -> tuple[Any, Any]:
    """A network whose backbones are those of another model, all else random, and its processor.

    Args:
        model: one of :data:`NETWORKS`.
        beginning: what the backbones are taken from.

    Raises:
        InputError: its backbones are of another size, or it reads no text and the network does.
    """
    import transformers

    config, like = beginning.config, PRESETS[NETWORKS[model].like]
    kind, reads = NETWORKS[model].kind, like.has_text
    if config.swin != like.swin or (reads and config.text != like.text):
        raise InputError(f"'{model}' begins with the backbones of '{like.name}', not with those of '{config.name}'")
    made = _grounding(config) if reads else _closed(config)
    with no_advice_on_width():
        network = getattr(transformers, f"{kind}ForObjectDetection")(made)
    backbone = network.model.backbone
    borrow_swin(getattr(backbone, "conv_encoder", backbone).model, beginning)
    size = {"shortest_edge": config.image_short, "longest_edge": config.image_long}
    if not reads:
        square = {"height": config.image_short, "width": config.image_short}
        processor = transformers.RTDetrImageProcessor(size=square, do_normalize=True)
        return network, processor
    borrow_text(network.model.text_backbone, beginning)
    with torch.no_grad():
        for layer in network.model.encoder.layers:  # from 1e-4, as published, it would hardly open in so few steps
            layer.fusion_layer.vision_param.fill_(1 / made.encoder_layers)
            layer.fusion_layer.text_param.fill_(1 / made.encoder_layers)
    pictures = transformers.GroundingDinoImageProcessor(size=size)
    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary())
    return network, transformers.GroundingDinoProcessor(pictures, tokenizer)


def _swin(config: SwinConfig) -> Any:
    from transformers import SwinConfig as Published

    return Published(
        embed_dim=config.width,
        depths=list(config.depths),
        num_heads=list(config.heads),
        window_size=config.window,
        drop_path_rate=0.0,
        out_features=["stage2", "stage3", "stage4"],
    )


def _text(config: TextConfig) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feedforward,
        max_position_embeddings=config.positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _grounding(config: DetectorConfig) -> Any:
    from transformers import MMGroundingDinoConfig

    assert config.text is not None
    return MMGroundingDinoConfig(
        backbone_config=_swin(config.swin),
        text_config=_text(config.text),
        d_model=96,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        num_queries=60,
        max_text_len=MOST_TOKENS,
        fusion_droppath=0.0,
        dropout=0.0,
        auxiliary_loss=True,
    )


def _closed(config: DetectorConfig) -> Any:
    from transformers import RTDetrV2Config

    width = 64
    channels = [config.swin.width * 2**stage for stage in (1, 2, 3)]
    return RTDetrV2Config(
        backbone_config=_swin(config.swin),
        encoder_in_channels=channels,
        encoder_hidden_dim=width,
        encoder_ffn_dim=128,
        encoder_attention_heads=4,
        d_model=width,
        decoder_in_channels=[width] * 3,
        decoder_ffn_dim=128,
        decoder_attention_heads=4,
        decoder_layers=2,
        num_queries=60,
        num_denoising=20,
        initializer_range=0.1,  # with transformers' 0.01 layers of this width pass next to nothing on
        hidden_expansion=0.5,
        freeze_backbone_batch_norms=False,
        num_labels=len(DETECTION_CLASSES),
    )
