"""Which checkpoints have a name, and which class runs those of a ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HUB_PREFIX = "hf:"
"""What a model's name begins with where it is a repository or a folder."""

_GROUNDING = "odinw_bench.models.hub.grounding"
_RTDETR = "odinw_bench.models.hub.rtdetr"

FAMILIES: Mapping[str, str] = {
    "grounding-dino": f"{_GROUNDING}:GroundingDino",
    "mm-grounding-dino": f"{_GROUNDING}:MMGroundingDino",
    "rt_detr_v2": f"{_RTDETR}:RTDetrV2",
    "d_fine": f"{_RTDETR}:DFine",
    "deimv2": f"{_RTDETR}:Deimv2",
    "rf_detr": "odinw_bench.models.hub.rfdetr:RfDetr",
    "omdet-turbo": "odinw_bench.models.hub.omdet:OmDetTurbo",
    "owlvit": "odinw_bench.models.hub.owl:OwlVit",
    "owlv2": "odinw_bench.models.hub.owl:Owlv2",
    "sam3": "odinw_bench.models.hub.sam3:Sam3",
    "sam3_video": "odinw_bench.models.hub.sam3:Sam3",  # as it is published: its detector is taken, its tracker is not
}
"""``model_type`` of a config.json -> the class of :class:`odinw_bench.models.hub.base.HubModel` that runs it."""

CLOSED = frozenset({"rt_detr_v2", "d_fine", "deimv2", "rf_detr"})
"""Those of :data:`FAMILIES` that have a class layer in place of a prompt."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights on the hub, or in a folder.

    Attributes:
        name: in tables and folders.
        title: in words.
        model_type: a key of :data:`FAMILIES`.
        repository: OWNER/NAME on the hub, or a folder.
        licence: of the weights, as its page states it; empty: not known here.
        nano: its weights are part of this package.
    """

    name: str
    title: str
    model_type: str
    repository: str
    licence: str = ""
    nano: bool = False

    @property
    def classes(self) -> str:
        """What names its classes: a ``prompt``, or the ``index`` of a class layer's column."""
        return "index" if self.model_type in CLOSED else "prompt"


def _listed(model_type: str, licence: str, rows: Mapping[str, tuple[str, str]]) -> dict[str, Checkpoint]:
    return {
        name: Checkpoint(name, title, model_type, repository, licence) for name, (title, repository) in rows.items()
    }


_EMBEDDED = Path(__file__).with_name("embedded")


def _embedded(model_type: str, name: str, title: str) -> dict[str, Checkpoint]:
    return {name: Checkpoint(name, title, model_type, str(_EMBEDDED / name), "Apache-2.0", nano=True)}


CHECKPOINTS: Mapping[str, Checkpoint] = {
    **_embedded("mm-grounding-dino", "gdino-nano", "miniature Grounding DINO: detection, grounding"),
    **_embedded("rt_detr_v2", "rtdetr-nano", "miniature RT-DETR: the class-head query detector"),
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
    **_listed(
        "rt_detr_v2",
        "Apache-2.0",
        {
            "rtdetrv2-r18": ("RT-DETRv2, ResNet-18vd, COCO", "PekingU/rtdetr_v2_r18vd"),
            "rtdetrv2-r50": ("RT-DETRv2, ResNet-50vd, COCO", "PekingU/rtdetr_v2_r50vd"),
        },
    ),
    **_listed(
        "d_fine",
        "Apache-2.0",
        {
            "dfine-s": ("D-FINE-S, Objects365", "ustc-community/dfine-small-obj365"),
            "dfine-m": ("D-FINE-M, Objects365", "ustc-community/dfine-medium-obj365"),
            "dfine-l": ("D-FINE-L, Objects365", "ustc-community/dfine-large-obj365"),
        },
    ),
    **_listed("rf_detr", "Apache-2.0", {"rf-detr-b": ("RF-DETR base, COCO", "Roboflow/rf-detr-base")}),
    **_listed(
        "omdet-turbo",
        "Apache-2.0",
        {"omdet-turbo-t": ("OmDet-Turbo, Swin-T; asked only", "omlab/omdet-turbo-swin-tiny-hf")},
    ),
    **_listed("owlvit", "Apache-2.0", {"owlvit-b16": ("OWL-ViT, ViT-B/16; asked only", "google/owlvit-base-patch16")}),
    **_listed("sam3", "SAM License (Meta's own)", {"sam3": ("SAM 3; asked only", "facebook/sam3")}),
    **_listed(
        "owlv2",
        "Apache-2.0",
        {
            "owlv2-b16": ("OWLv2, ViT-B/16, ensemble; asked only", "google/owlv2-base-patch16-ensemble"),
            "owlv2-l14": ("OWLv2, ViT-L/14, ensemble; asked only", "google/owlv2-large-patch14-ensemble"),
        },
    ),
}
"""Checkpoints that have a name of their own; any other one of the same families is ``hf:OWNER/NAME``."""


def recorded_source(model: str) -> str:
    """``hf:OWNER/NAME``, ``hf:FOLDER`` or ``onnx:FILE`` as a record holds it: what lies on disk by its whole path."""
    kind, _, name = model.partition(":")
    path = Path(name).expanduser()
    return f"{kind}:{path.absolute()}" if path.exists() else model
