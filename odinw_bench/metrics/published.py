"""The published numbers that ship with the program: the facts of a file, and what the paper says fusion costs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class PublishedCost:
    """A published cost.

    Attributes:
        images_per_second: on one GPU.
        gigabytes: of GPU memory.
        source: where it was read, and what it was measured on.
    """

    images_per_second: float
    gigabytes: float
    source: str


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """The content of ``published.json``; every number in it names its source."""
    found: dict[str, Any] = json.loads((resources.files(__package__) / "published.json").read_text(encoding="utf-8"))
    return found


def published_cost(model: str, phase: str, *, fusion: bool) -> PublishedCost | None:
    """What the paper says a detector costs (arXiv 2112.03857, table 7); None for one it did not measure.

    Args:
        model: a preset; the lettered versions of GLIP-T have its size.
        phase: ``inference`` or ``training``.
        fusion: with deep fusion.
    """
    size = {"glip-t": "GLIP-T", "glip-l": "GLIP-L"}.get(model[:6])
    cost = facts()["cost"]
    for row in cost["rows"]:
        if (row["model"], row["fusion"]) == (size, fusion):
            kind = "train" if phase == "training" else "inference"
            told = f"published: {row['model']}, {cost['source']}; {cost['conditions'][phase]}"
            return PublishedCost(float(row[f"{kind}_fps"]), float(row[f"{kind}_gb"]), told)
    return None
