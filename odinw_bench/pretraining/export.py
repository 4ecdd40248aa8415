"""Trained weights as the package ships them, with the facts of their model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from glip_core import Detector
from odinw_bench.pretraining.recipe import CURVE, PretrainRecipe
from odinw_bench.runs.environment import environment


def export_weights(detector: Detector, path: Path, metadata: Mapping[str, str]) -> None:
    """Write half-precision safetensors under official names, for the package.

    Args:
        detector: a trained model.
        path: where to.
        metadata: the model card's facts, as strings.
    """
    from safetensors.torch import save_file

    from glip_core.checkpoint import named_tensors

    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in named_tensors(detector, detector.config).items()
    }
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary, metadata=dict(metadata))
    temporary.replace(path)


def card(recipe: PretrainRecipe, out: Path) -> dict[str, str]:
    """The facts of a model card, from the recipe, the learning curve in ``out`` and this machine."""
    lines = [json.loads(line) for line in (out / CURVE).read_text().splitlines()]
    here = environment("cpu")
    return {
        "model": recipe.model,
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "hardware": f"{here['device_name']}, {here['threads']} thread{'s' if here['threads'] > 1 else ''}",
        "software": f"odinw-bench {here['odinw_bench']}, torch {here['torch']}, Python {here['python']}",
        "last": json.dumps(lines[-1]) if lines else "",
    }
