"""Words that may describe a class: pools by what they say."""

from __future__ import annotations

from collections.abc import Mapping

from odinw_bench.datasets.task import Task

Pools = Mapping[str, tuple[str, ...]]
"""What is described -> words for it, as they stand after "which is"."""

GENERAL: Pools = {
    "colour": (
        "black",
        "white",
        "gray",
        "brown",
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "pink",
        "transparent",
        "colorful",
    ),
    "texture": ("striped", "spotted", "smooth", "shiny", "furry", "rough", "scaly"),
    "size": ("tiny", "small", "large", "long", "thin"),
    "material": ("metal", "wooden", "plastic", "made of paper", "made of stone"),
    "shape": ("round", "flat", "flat and round", "square", "oval", "pointed", "star shaped", "curved"),
    "place": ("on the ground", "in the water", "in the sky", "on a table", "on the road", "in a hand"),
}
"""For photos; a task's own (``attributes:`` in its YAML) come on top."""


def pools_of(task: Task) -> Pools:
    """The words to search among: those of the drawn world for the miniature, else the general ones; and the task's."""
    pools = {kind: list(words) for kind, words in (_drawn() if task.source.kind == "miniature" else GENERAL).items()}
    for kind, words in task.attributes.items():
        pools.setdefault(kind, []).extend(word for word in words if word not in pools.get(kind, []))
    return {kind: tuple(words) for kind, words in pools.items()}


def _drawn() -> Pools:
    """What the miniature's pre-training describes things by: all of it, not what a task happens to need."""
    from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES
    from odinw_bench.mini.world import shape_adjective

    return {
        "colour": tuple(COLOURS),
        "texture": tuple(texture for texture in TEXTURES if texture != "plain"),
        "shape": tuple(shape_adjective(shape) for shape in SHAPES),
    }
