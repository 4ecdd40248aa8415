"""What the package ships of an embedded model: its weights, and how they were made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from glip_core.checkpoint import EMBEDDED
from glip_core.config import PRESETS, DetectorConfig, get_config
from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.models import BUILT_IN, is_embedded
from odinw_bench.pretraining.query import FACTS
from odinw_bench.utils.io import read_json


@dataclass(frozen=True)
class Shipped:
    """An embedded model.

    Attributes:
        title: in words.
        architecture: likewise.
        facts: see :func:`odinw_bench.pretraining.export.card`.
        parameters: their number.
        size: of the file, in bytes.
        sha256: of the file.
    """

    title: str
    architecture: str
    facts: Mapping[str, str]
    parameters: int
    size: int
    sha256: str


def shipped(model: str) -> Shipped:
    """An embedded model by its name.

    Raises:
        InputError: the model has no embedded weights, or they do not say how they were made.
    """
    if model not in BUILT_IN:
        get_config(model)  # for its error
    if not is_embedded(model):
        raise InputError(f"model cards are written for the embedded models; '{model}' is not one")
    if model in PRESETS:
        path, title, architecture = EMBEDDED / f"{model}.safetensors", PRESETS[model].title, _of_preset(PRESETS[model])
    else:
        folder = Path(BUILT_IN[model].repository)
        path, title = folder / "model.safetensors", BUILT_IN[model].title
        architecture = _of_query(read_json(folder / "config.json", what="configuration"))
    if not path.is_file():
        raise InputError(f"'{path}' is not installed")
    with safe_open(str(path), framework="pt") as file:
        facts: dict[str, str] = file.metadata() or {}
        parameters = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    if model in BUILT_IN:
        facts = read_json(path.parent / FACTS, what="model card")
    if "recipe" not in facts:
        raise InputError(f"'{path}' carries no recipe: export it with `odinw-bench pretrain`")
    return Shipped(title, architecture, facts, parameters, path.stat().st_size, file_sha256(path))


def _of_preset(config: DetectorConfig) -> str:
    text = f"text encoder of {config.text.layers} layers, width {config.text.width}" if config.text else "class head"
    return (
        f"Swin width {config.swin.width}, depths {config.swin.depths}; {config.blocks} DyHead blocks of "
        f"{config.channels} channels; {'deep fusion' if config.fusion else 'no fusion'}; {text}"
    )


def _of_query(config: Mapping[str, Any]) -> str:
    swin, text = config["backbone_config"], config.get("text_config")
    head = f"text encoder of {text['num_hidden_layers']} layers, width {text['hidden_size']}" if text else "class head"
    return (
        f"{config['architectures'][0]} of transformers: Swin width {swin['embed_dim']}, depths "
        f"{tuple(swin['depths'])}; {config['encoder_layers']} encoder and {config['decoder_layers']} decoder layers of "
        f"width {config['d_model']}; {config['num_queries']} queries; {head}"
    )
