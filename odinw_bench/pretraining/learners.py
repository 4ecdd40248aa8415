"""What the training loop trains: one of our own detectors, or a query detector of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import glip_core
from glip_core import Detector, InputError
from glip_core.config import PRESETS, DetectorConfig
from odinw_bench.mini.pretraining import DETECTION_CLASSES
from odinw_bench.pretraining.data import Item, load_named
from odinw_bench.pretraining.export import export_weights
from odinw_bench.pretraining.recipe import PretrainRecipe


class Learner(Protocol):
    """A detector that is trained.

    Attributes:
        network: whose parameters are trained.
        borrowed: beginnings of the names of parameters that have a rate of their own.
    """

    network: Any
    borrowed: tuple[str, ...]

    def losses(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """The losses of a batch by name; their sum is minimised."""
        ...

    def save(self, out: Path, model: str, facts: Mapping[str, str]) -> Path:
        """Write the weights as the package ships them, with the facts of the model's card; where to."""
        ...


class PresetLearner:
    """One of our own.

    Args:
        detector: which.
        precision: ``bf16`` or ``fp32``.
    """

    borrowed: tuple[str, ...] = ()

    def __init__(self, detector: Detector, precision: str) -> None:
        self.network, self.precision = detector, precision

    def losses(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """See :class:`Learner`."""
        pixels = torch.stack([item.pixels for item in items])
        prompts = [item.prompt for item in items]
        prompt = prompts[0] if all(p is prompts[0] for p in prompts) else prompts
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            raw = self.network.forward_raw(pixels, prompt)
        return self.network.losses_from_raw(raw, [item.targets for item in items], prompt)

    def save(self, out: Path, model: str, facts: Mapping[str, str]) -> Path:
        """See :class:`Learner`: a file."""
        path = out / f"{model}.safetensors"
        export_weights(self.network, path, facts)
        return path


def new_learner(recipe: PretrainRecipe) -> Learner:
    """The detector of a recipe with the weights that training begins with; the others are random.

    Raises:
        InputError: there are no such weights, or they are of another size.
    """
    if recipe.model in PRESETS:
        return _preset(recipe)
    from odinw_bench.pretraining.query import NETWORKS, ClosedLearner, GroundingLearner, new_network

    network, processor = new_network(recipe.model, load_named(recipe.backbone or NETWORKS[recipe.model].like))
    if stream_config(recipe.model).has_text:
        return GroundingLearner(network, processor)
    return ClosedLearner(network, processor)


def _preset(recipe: PretrainRecipe) -> PresetLearner:
    config = glip_core.config.get_config(recipe.model)
    detector = glip_core.build(recipe.model, num_classes=None if config.has_text else len(DETECTION_CLASSES))
    if recipe.whole is not None:
        _take_over(detector, load_named(recipe.whole), recipe.whole)
    elif recipe.backbone is not None:
        _take_over(detector.vision, load_named(recipe.backbone).vision, recipe.backbone)
    return PresetLearner(detector, recipe.precision)


def _take_over(module: nn.Module, given: nn.Module, source: str) -> None:
    try:
        module.load_state_dict(given.state_dict())
    except RuntimeError as error:  # torch's list of all names
        raise InputError(f"the weights of '{source}' are of other sizes or parts than what is trained") from error


def stream_config(model: str) -> DetectorConfig:
    """The preset whose images and prompts a model learns from."""
    if model in PRESETS:
        return PRESETS[model]
    from odinw_bench.pretraining.query import NETWORKS

    return PRESETS[NETWORKS[model].like]
