"""The names of the official checkpoints and ours, one to one.

Files of this project use the official names, so that any checkpoint can be read by anybody; inside the program
parameters have names that say what they do.
"""

from __future__ import annotations

import re

from glip_core.config import DetectorConfig

_SIMPLE: tuple[tuple[str, str], ...] = (
    # ours, official; the longest match first
    ("vision.swin.patch_embed.", "backbone.body.patch_embed.proj."),
    ("vision.swin.patch_norm.", "backbone.body.patch_embed.norm."),
    ("vision.swin.layers.", "backbone.body.layers."),
    ("vision.swin.norms.", "backbone.body.norm"),
    ("vision.pyramid.p6.", "backbone.fpn.top_blocks.p6."),
    ("vision.pyramid.p7.", "backbone.fpn.top_blocks.p7."),
    ("language.encoder.", "language_backbone.body.model."),
    ("head.projection.", "rpn.head.dot_product_projection_text."),
    ("head.boxes.bbox_pred.", "rpn.head.bbox_pred."),
    ("head.boxes.centerness.", "rpn.head.centerness."),
    ("head.log_scale", "rpn.head.log_scale"),
    ("head.bias_lang", "rpn.head.bias_lang"),
    ("head.bias0", "rpn.head.bias0"),
    ("head.cls_logits.", "rpn.head.cls_logits."),
    ("prompt_offset", "rpn.tunable_linear.weight"),
)

_FUSION: tuple[tuple[str, str], ...] = (
    ("norm_vision.", "layer_norm_v."),
    ("norm_text.", "layer_norm_l."),
    ("attention.vision_query.", "attn.v_proj."),
    ("attention.text_key.", "attn.l_proj."),
    ("attention.vision_value.", "attn.values_v_proj."),
    ("attention.text_value.", "attn.values_l_proj."),
    ("attention.vision_out.", "attn.out_v_proj."),
    ("attention.text_out.", "attn.out_l_proj."),
    ("gamma_vision", "gamma_v"),
    ("gamma_text", "gamma_l"),
)

_DYCONV: tuple[tuple[str, str], ...] = (
    ("from_coarser.norm.", "DyConv.0.bn."),
    ("from_coarser.conv.", "DyConv.0.conv."),
    ("same.norm.", "DyConv.1.bn."),
    ("same.conv.", "DyConv.1.conv."),
    ("from_finer.norm.", "DyConv.2.bn."),
    ("from_finer.conv.", "DyConv.2.conv."),
    ("scale_attention.", "AttnConv.1."),
    ("relu.fc.", "relu.fc."),
    ("offset.", "offset."),
)

_FIRST_FPN = 2  # the pyramid's modules count backbone stages from 1 and skip the first


def _swap(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    for ours, official in table:
        if name.startswith(ours):
            return official + name[len(ours) :]
    return None


def official_name(name: str, config: DetectorConfig) -> str:
    """The official name of a parameter of :class:`~glip_core.detector.Detector`.

    Raises:
        KeyError: the parameter has no official counterpart.
    """
    if match := re.fullmatch(r"(.+)\.parametrizations\.weight\.(original|0\.(\w+))", name):
        # An adapted weight (glip_core.modeling.low_rank): the frozen one, and beside it what adapts it.
        layer = official_name(f"{match[1]}.weight", config).removesuffix("weight")
        return layer + (match[3] or "weight")
    if match := re.fullmatch(r"vision\.pyramid\.(inner|layer)\.(\d+)\.(\w+)", name):
        kind, index, rest = match.groups()
        return f"backbone.fpn.fpn_{kind}{int(index) + _FIRST_FPN}.{rest}"
    if match := re.fullmatch(r"head\.boxes\.scales\.(\d+)", name):
        return f"rpn.head.scales.{match[1]}.scale"
    if match := re.fullmatch(r"tower\.(\d+)\.(fusion|language|dyconv)\.(.+)", name):
        block, part, rest = int(match[1]), match[2], match[3]
        # With fusion the official tower is a flat list of three modules a block.
        place = 3 * block + ("fusion", "language", "dyconv").index(part) if config.fusion else block
        start = f"rpn.head.dyhead_tower.{place}."
        if part == "language":
            return start + rest.removeprefix("layer.")
        swapped = _swap(rest, _FUSION if part == "fusion" else _DYCONV)
        if swapped is not None:
            return start + ("b_attn." if part == "fusion" else "") + swapped
    swapped = _swap(name, _SIMPLE)
    if swapped is None:
        raise KeyError(name)
    return swapped


_IGNORED = (
    # GLIP computes a class layer and never uses it.
    (r"rpn\.head\.cls_logits\..*", lambda config: config.has_text),
    # Buffers that follow from the configuration; ours are computed.
    (r"rpn\.anchor_generator\.cell_anchors\.\d+", None),
    (r"backbone\.body\.layers\.\d+\.blocks\.\d+\.attn\.relative_position_index", None),
    # Left by older versions of transformers, or by pre-training objectives that inference does not use.
    (r"language_backbone\.body\.model\.embeddings\.(position_ids|token_type_ids)", None),
    (r"language_backbone\.body\.model\.pooler\..*", None),
    (r"language_backbone\.body\.(mlm_head|resizer)\..*", None),
    (r"(rpn\.(head\.)?)?(mlm_head|resizer)\..*", None),
)


def is_ignored(name: str, config: DetectorConfig) -> bool:
    """Whether a checkpoint may hold this official name though the model has no use for it."""
    return any(re.fullmatch(pattern, name) and (applies is None or applies(config)) for pattern, applies in _IGNORED)
