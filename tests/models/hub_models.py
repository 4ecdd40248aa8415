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
