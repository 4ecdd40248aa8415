"""What decides the outcome of a pre-training, and the recipe of every embedded model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from glip_core.config import PRESETS
from glip_core.errors import InputError, nearest
from odinw_bench.mini.pretraining import Kind

CURVE = "curve.jsonl"
"""The learning curve in the folder of a training."""


@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides the outcome of a pre-training.

    Attributes:
        model: a nano preset.
        steps: optimiser steps until the rate has fallen to 0.
        batch: images a step.
        lr: peak learning rate; linear warm-up, then a cosine down to zero.
        warmup: steps of warm-up.
        weight_decay: of everything but biases, norms and embeddings of one dimension.
        seed: of the weights and the data.
        mix: kinds of data and their share; a class head learns from detection data alone.
        backbone: the model, or its safetensors file, whose vision backbone and pyramid training begins with, as
            GLIP's begins with one that was trained to classify; None: random.
        whole: the model, or its file, all of whose weights training begins with, in place of ``backbone``; not for a
            query detector.
        teacher: the model, or its file, that finds the boxes of captions.
        confidence: score from which a box of the teacher counts (GLIP paper, section 3.3: 0.5).
        precision: ``bf16`` (autocast) or ``fp32``.
        borrowed_share: of the rate, for the backbones that a query detector has from ``backbone``.

    Raises:
        InputError: it says what would not happen: both ``backbone`` and ``whole``, ``whole`` of a query detector, or a
            teacher without captions.
    """

    model: str = "glip-nano"
    steps: int = 2000
    batch: int = 16
    lr: float = 8e-4
    warmup: int = 100
    weight_decay: float = 0.05
    seed: int = 0
    mix: Mapping[Kind, float] = field(default_factory=lambda: {"detection": 1.0})
    backbone: str | None = None
    whole: str | None = None
    teacher: str | None = None
    confidence: float = 0.5
    precision: str = "bf16"
    borrowed_share: float = 1.0

    def __post_init__(self) -> None:
        if self.whole is not None and self.backbone is not None:
            raise InputError("a training begins with a backbone or with a whole model: leave one of them out")
        if self.whole is not None and self.model not in PRESETS:
            raise InputError(f"'{self.model}' takes over backbones alone: give --backbone in place of --whole")
        if self.teacher is not None and "captions" not in self.mix:
            raise InputError(f"the recipe of '{self.model}' has no captions that a teacher could find boxes of")

    def learning_rate(self, step: int) -> float:
        """The rate of one step, from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


# GLIP-T's ladder (paper, table 1) in miniature. The class-head baseline comes first: its backbone is to the others
# what the ImageNet one is to GLIP. The last model continues from its teacher rather than from the backbone: it is the
# one that people use, and two cores have better things to do than to learn the same twice.
_LADDER: tuple[PretrainRecipe, ...] = (
    PretrainRecipe("dyhead-nano"),
    PretrainRecipe("glip-nano-a", backbone="dyhead-nano"),
    PretrainRecipe("glip-nano-b", backbone="dyhead-nano"),
    PretrainRecipe("glip-nano-c", backbone="dyhead-nano", mix={"detection": 0.35, "grounding": 0.65}),
    PretrainRecipe(
        "glip-nano",
        steps=2500,
        lr=6e-4,
        whole="glip-nano-c",
        teacher="glip-nano-c",
        mix={"detection": 0.45, "grounding": 0.45, "captions": 0.1},
    ),
    PretrainRecipe(
        "gdino-nano",
        backbone="glip-nano",
        mix={"detection": 0.5, "grounding": 0.5},
        seed=1,
        weight_decay=0.01,
        precision="fp32",
        borrowed_share=0.3,
    ),
    PretrainRecipe(
        "rtdetr-nano", backbone="dyhead-nano", seed=1, weight_decay=0.01, precision="fp32", borrowed_share=0.3
    ),
)

RECIPES: Mapping[str, PretrainRecipe] = {recipe.model: recipe for recipe in _LADDER}
"""How each embedded model was made, in the order in which they must be made."""


def get_recipe(model: str) -> PretrainRecipe:
    """The recipe of an embedded model.

    Raises:
        InputError: the model is not one of them.
    """
    if model not in RECIPES:
        raise InputError(f"only the nano models are pre-trained here, not '{model}'{nearest(model, RECIPES)}")
    return RECIPES[model]
