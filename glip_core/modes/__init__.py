"""The tuning modes: what each trains, what stays frozen and may be cached meanwhile, and its learning rates.

Nothing here imports torch before it is needed. To add a mode, write one class; list it in
:data:`glip_core.modes.table.MODES`, or have another package declare it as an entry point of the group
``odinw_bench.modes``, or name it by ``--mode PACKAGE.MODULE:CLASS``.
"""

from glip_core.modes.adapters import BiasTuning, DoRA, LoRA, NormTuning, PromptAndLoRA
from glip_core.modes.base import HEAD, LANGUAGE, PROMPT_OFFSET, TuningMode
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
from glip_core.modes.table import MODES, get_mode

__all__ = [
    "HEAD",
    "LANGUAGE",
    "MODES",
    "PROMPT_OFFSET",
    "BiasTuning",
    "DoRA",
    "Full",
    "Language",
    "LanguageAndLinear",
    "LinearProbe",
    "LoRA",
    "Manual",
    "NormTuning",
    "PromptAndLinear",
    "PromptAndLoRA",
    "PromptTuning",
    "TuningMode",
    "ZeroShot",
    "get_mode",
]
