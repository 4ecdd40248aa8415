"""Which detectors there are: the presets of this project and third-party ones, each behind one class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from glip_core.config import PRESETS, DetectorConfig, get_config
from glip_core.errors import InputError, nearest
from odinw_bench.models.base import Model, ModelFacts
from odinw_bench.models.hub.checkpoints import CHECKPOINTS, HUB_PREFIX, Checkpoint
from odinw_bench.models.modes import UNTUNED, check_name, known_modes
from odinw_bench.models.tunable import TunableModel
from odinw_bench.utils.plugins import declared, load_object
from odinw_bench.utils.text import shorten

__all__ = ["BUILT_IN", "ModelFacts", "find_model", "is_embedded", "model_facts", "preset_facts"]

GROUPS = ("odinw_bench.detectors", "odinw_bench.models")
"""Groups of entry points; the first is what version 0.1.0 called it."""

BUILT_IN: Mapping[str, Checkpoint] = CHECKPOINTS
"""Third-party detectors that the program knows by name."""

ONNX = "onnx:"
"""Before the path of an exported detector, in place of a name."""


def model_facts(model: str) -> ModelFacts:
    """The facts of a preset, or of a detector by name or as ``PACKAGE.MODULE:CLASS``; a preset does not import torch.

    Raises:
        InputError: there is no such detector.
    """
    return preset_facts(get_config(model)) if model in PRESETS else find_model(model).facts()


def is_embedded(model: str) -> bool:
    """Whether the weights of a model of this name are part of the package."""
    return PRESETS[model].family == "nano" if model in PRESETS else model in BUILT_IN and BUILT_IN[model].nano


def preset_facts(config: DetectorConfig) -> ModelFacts:
    """The facts of one of our presets."""
    modes = [name for name, mode in known_modes().items() if config.has_text or not mode.needs_text]
    nano = is_embedded(config.name)
    return ModelFacts(config.name, has_text=config.has_text, nano=nano, modes=modes, grounds=config.has_text)


def find_model(model: str) -> type[Model]:
    """The class behind a name or ``PACKAGE.MODULE:CLASS``.

    Raises:
        InputError: there is none, or it cannot be imported or is no model.
    """
    if model.startswith(ONNX):
        from odinw_bench.models.onnx import find_onnx

        return find_onnx(model.removeprefix(ONNX))
    if model not in PRESETS:
        return _find(model)
    from odinw_bench.models.glip import preset  # brings torch: seconds that a listing need not pay

    return preset(model)


def _find(model: str) -> type[Model]:
    if model in BUILT_IN or model.startswith(HUB_PREFIX):
        from odinw_bench.models.hub.base import hub_model  # brings torch

        return hub_model(model)
    return _import(model)


@lru_cache(maxsize=64)
def _import(model: str) -> type[Model]:
    target = _declared().get(model) or model
    if ":" not in target:
        known = [*PRESETS, *BUILT_IN, *_declared()]
        raise InputError(
            f"unknown model {shorten(model)}{nearest(model, known)}; or hf:OWNER/NAME, onnx:FILE, PACKAGE.MODULE:CLASS"
        )
    found = load_object(target, "detector", here=target == model)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise InputError(f"'{target}' is no subclass of odinw_bench.Adapter")
    check_name(getattr(found, "name", ""), target)
    unknown = [mode for mode in found.modes if mode not in UNTUNED]
    if unknown and not issubclass(found, TunableModel):
        raise InputError(f"'{target}'.modes may hold {' and '.join(UNTUNED)}, not {shorten(unknown[0])}")
    return found


def _declared() -> dict[str, str]:
    return {name: target for group in GROUPS for name, target in declared(group).items()}
