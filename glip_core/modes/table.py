"""All modes by name: the one list of them."""

from __future__ import annotations

from glip_core.errors import InputError, nearest
from glip_core.modes.adapters import BiasTuning, DoRA, LoRA, NormTuning, PromptAndLoRA
from glip_core.modes.base import TuningMode
from glip_core.modes.paper import (
    Full,
    Language,
    LanguageAndLinear,
    LinearProbe,
    Manual,
    PromptAndLinear,
    PromptTuning,
    ZeroShot,
)

MODES: dict[str, TuningMode] = {
    mode.name: mode
    for mode in (
        ZeroShot(),
        Manual(),
        PromptTuning(),
        LinearProbe(),
        PromptAndLinear(),
        Language(),
        LanguageAndLinear(),
        Full(),
        BiasTuning(),
        NormTuning(),
        LoRA(),
        DoRA(),
        PromptAndLoRA(),
    )
}


def get_mode(name: str) -> TuningMode:
    """The mode of that name (or of that official name).

    Raises:
        InputError: there is none; the message names the nearest one.
    """
    if name in MODES:
        return MODES[name]
    for mode in MODES.values():
        if mode.official_name == name:
            return mode
    raise InputError(f"unknown mode '{name}'{nearest(name, MODES)}")
