"""Which checkpoints have a name, and which class runs those of a ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HUB_PREFIX = "hf:"
"""What a model's name begins with where it is a repository or a folder."""

_GROUNDING = "odinw_bench.models.hub.grounding"

FAMILIES: Mapping[str, str] = {
    "grounding-dino": f"{_GROUNDING}:GroundingDino",
    "mm-grounding-dino": f"{_GROUNDING}:MMGroundingDino",
}
"""``model_type`` of a config.json -> the class of :class:`odinw_bench.models.hub.base.HubModel` that runs it."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights on the hub, or in a folder.

    Attributes:
        name: in tables and folders.
        title: in words.
        model_type: a key of :data:`FAMILIES`.
        repository: OWNER/NAME on the hub, or a folder.
        licence: of the weights, as its page states it; empty: not known here.
    """

    name: str
    title: str
    model_type: str
    repository: str
    licence: str = ""

    @property
    def classes(self) -> str:
        """What names its classes: a ``prompt``, or the ``index`` of a class layer's column."""
        return "prompt"


def _listed(model_type: str, licence: str, rows: Mapping[str, tuple[str, str]]) -> dict[str, Checkpoint]:
    return {
        name: Checkpoint(name, title, model_type, repository, licence) for name, (title, repository) in rows.items()
    }


CHECKPOINTS: Mapping[str, Checkpoint] = {
    **_listed(
        "grounding-dino",
        "Apache-2.0",
        {
            "grounding-dino-t": ("Grounding DINO, Swin-T", "IDEA-Research/grounding-dino-tiny"),
            "grounding-dino-b": ("Grounding DINO, Swin-B", "IDEA-Research/grounding-dino-base"),
        },
    ),
    **_listed(
        "mm-grounding-dino",
        "Apache-2.0",
        {
            "mm-grounding-dino-t": (
                "MM-Grounding-DINO, Swin-T",
                "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det",
            ),
            "mm-grounding-dino-b": (
                "MM-Grounding-DINO, Swin-B",
                "openmmlab-community/mm_grounding_dino_base_o365v1_goldg_v3det",
            ),
            "mm-grounding-dino-l": ("MM-Grounding-DINO, Swin-L", "openmmlab-community/mm_grounding_dino_large_all"),
            "llmdet-t": ("LLMDet, Swin-T", "iSEE-Laboratory/llmdet_tiny"),
            "llmdet-b": ("LLMDet, Swin-B", "iSEE-Laboratory/llmdet_base"),
            "llmdet-l": ("LLMDet, Swin-L", "iSEE-Laboratory/llmdet_large"),
        },
    ),
}
"""Checkpoints that have a name of their own; any other one of the same families is ``hf:OWNER/NAME``."""


def recorded_source(model: str) -> str:
    """``hf:OWNER/NAME`` or ``hf:FOLDER`` as a record holds it: a folder by its whole path."""
    folder = Path(model.removeprefix(HUB_PREFIX)).expanduser()
    return f"{HUB_PREFIX}{folder.absolute()}" if folder.is_dir() else model
