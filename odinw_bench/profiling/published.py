"""What the paper says fusion costs (arXiv 2112.03857, table 7 and appendix D.1); held against ../shared by a test."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = (
    "published: GLIP paper, table 7; inference on a P100 at batch 1, training on 16 V100 with gradient checkpointing"
)


@dataclass(frozen=True)
class PublishedCost:
    """A row of table 7.

    Attributes:
        model: as the paper calls it.
        fusion: with deep fusion.
        inference_fps, train_fps: images a second and GPU.
        inference_gb, train_gb: GPU memory in GB.
    """

    model: str
    fusion: bool
    inference_fps: float
    inference_gb: float
    train_fps: float
    train_gb: float


TABLE_7: tuple[PublishedCost, ...] = (
    PublishedCost("GLIP-T", False, 4.84, 1.0, 2.79, 11.5),
    PublishedCost("GLIP-T", True, 2.52, 2.4, 1.62, 16.0),
    PublishedCost("GLIP-L", False, 0.54, 4.8, 1.27, 19.7),
    PublishedCost("GLIP-L", True, 0.32, 7.7, 0.88, 23.4),
)


def published_cost(model: str, *, fusion: bool) -> PublishedCost | None:
    """The row for a preset, if the paper has one: ``glip-t`` and its lettered versions are GLIP-T."""
    size = {"glip-t": "GLIP-T", "glip-l": "GLIP-L"}.get(model[:6])
    return next((row for row in TABLE_7 if row.model == size and row.fusion == fusion), None)
