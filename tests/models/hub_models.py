"""Tiny, randomly initialised detectors of the transformers library, saved as the hub's repositories are."""

from __future__ import annotations

from pathlib import Path

import torch

from glip_core.modeling.bert import BERT_VOCABULARY


def save_grounding(folder: Path, kind: str = "GroundingDino", **changes) -> Path:
    """A Grounding DINO, or an ``MMGroundingDino``, with its processor."""
    import transformers

    words = BERT_VOCABULARY.read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    body = transformers.SwinConfig(
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    text = transformers.BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    common = {
        "backbone_config": body,
        "text_config": text,
        "d_model": 64,  # two channels to a group, so that a map of one pixel can be normalised
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "num_queries": 20,
        "max_text_len": 64,
        "fusion_droppath": 0.0,  # else a step may leave the only fusion layer out
    }
    config = getattr(transformers, f"{kind}Config")(**common | changes)
    torch.manual_seed(0)
    getattr(transformers, f"{kind}ForObjectDetection")(config).save_pretrained(folder)
    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary)
    pictures = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 100})
    transformers.GroundingDinoProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


CLOSED = {"RTDetrV2": "rt_detr_v2", "DFine": "d_fine", "Deimv2": "deimv2", "RfDetr": "rf_detr"}
"""Closed-set families: the beginning of their classes' names -> ``model_type``."""


def save_closed(folder: Path, kind: str, *, side: int = 64, **changes) -> Path:
    """A closed-set detector of five classes, of square images, with its processor."""
    import transformers

    torch.manual_seed(0)
    config = _rfdetr(changes) if kind == "RfDetr" else _rtdetr(kind, changes)
    getattr(transformers, f"{kind}ForObjectDetection")(config).save_pretrained(folder)
    size = {"height": side, "width": side}
    if kind == "RfDetr":
        transformers.RfDetrImageProcessor(size=size, do_pad=False).save_pretrained(folder)
    else:
        transformers.RTDetrImageProcessor(size=size).save_pretrained(folder)
    return folder


def _rtdetr(kind: str, changes: dict):
    import transformers

    stages = ["stage2", "stage3", "stage4"]
    if kind == "RTDetrV2":
        body = transformers.RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, layer_type="basic", out_features=stages
        )
    else:
        body = transformers.HGNetV2Config(
            embedding_size=8,
            hidden_sizes=[8, 16, 24, 32],
            stem_channels=[3, 8, 8],
            stage_in_channels=[8, 8, 16, 24],
            stage_mid_channels=[8, 8, 8, 16],
            stage_out_channels=[8, 16, 24, 32],
            stage_num_blocks=[1, 1, 1, 1],
            stage_downsample=[False, True, True, True],
            stage_light_block=[False, False, True, True],
            stage_kernel_size=[3, 3, 5, 5],
            stage_numb_of_layers=[1, 1, 1, 1],
            out_features=stages,
        )
    common = {
        "backbone_config": body,
        "encoder_in_channels": [16, 24, 32],
        "encoder_hidden_dim": 32,
        "encoder_ffn_dim": 32,
        "encoder_attention_heads": 2,
        "d_model": 32,
        "decoder_in_channels": [32, 32, 32],
        "decoder_ffn_dim": 32,
        "decoder_attention_heads": 2,
        "decoder_layers": 3,
        "num_queries": 20,
        "num_denoising": 10,
        "num_labels": 5,
    }
    return getattr(transformers, f"{kind}Config")(**common | changes)


def _rfdetr(changes: dict):
    import transformers

    body = transformers.RfDetrDinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        num_windows=2,
        out_features=["stage2", "stage4"],
    )
    common = {
        "backbone_config": body,
        "d_model": 32,
        "decoder_ffn_dim": 32,
        "decoder_layers": 2,
        "decoder_self_attention_heads": 2,
        "decoder_cross_attention_heads": 2,
        "num_queries": 20,
        "group_detr": 3,
        "dropout": 0.0,
        "num_labels": 5,
    }
    return transformers.RfDetrConfig(**common | changes)
