"""The pre-training stream as the network's input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import glip_core
from glip_core import Detector, Prompt, Targets
from glip_core.config import DetectorConfig
from glip_core.preprocess import resized_hw, scale_boxes, to_tensor
from odinw_bench.mini.pretraining import DETECTION_CLASSES, Kind, PretrainSample, sample
from odinw_bench.pretraining.recipe import PretrainRecipe


@dataclass
class Item:
    """One image, ready for the network."""

    pixels: Tensor
    targets: Targets
    prompt: Prompt


class PretrainingData(Dataset[Item]):
    """The stream of samples as the network's input; item i depends on (recipe, i) alone.

    Args:
        recipe: decides seed, length, kinds and teacher.
        config: of the model: the image size, and whether classes are a fixed list.
    """

    def __init__(self, recipe: PretrainRecipe, config: DetectorConfig) -> None:
        self.recipe, self.config = recipe, config
        self.kinds: dict[Kind, float] = dict(recipe.mix) if config.has_text else {"detection": 1.0}
        self.classes = Prompt.from_classes(DETECTION_CLASSES)
        self.teacher = load_named(recipe.teacher) if recipe.teacher and "captions" in self.kinds else None

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def __getitem__(self, index: int) -> Item:
        kind = self._kind(index)
        drawn = sample(kind, self.recipe.seed, index)
        hw = resized_hw(drawn.image.size, self.config.image_short, self.config.image_long)
        pixels = to_tensor(drawn.image, hw)
        if kind == "captions":
            prompt = prompt_of(drawn)
            return Item(pixels, self._pseudo_labels(pixels, prompt), prompt)
        boxes = torch.as_tensor(drawn.boxes, dtype=torch.float32).reshape(-1, 4)
        boxes = scale_boxes(boxes, (drawn.image.height, drawn.image.width), hw)
        labels = torch.as_tensor(drawn.labels if self.config.has_text else drawn.class_labels, dtype=torch.long)
        known = labels >= 0
        prompt = prompt_of(drawn) if self.config.has_text else self.classes
        return Item(pixels, Targets(boxes[known], labels[known]), prompt)

    def _pseudo_labels(self, pixels: Tensor, prompt: Prompt) -> Targets:
        """What the teacher is sure of; a phrase of which it is not counts as absent (GLIP paper, section 3.3)."""
        if self.teacher is None:
            raise ValueError("captions have no boxes of their own: the recipe needs a teacher")
        (found,) = self.teacher.detect(pixels[None], [(pixels.shape[1], pixels.shape[2])], prompt)
        sure = found.scores >= self.recipe.confidence
        return Targets(found.boxes[sure], found.labels[sure])

    def _kind(self, index: int) -> Kind:
        """Kinds alternate in a fixed pattern with the wanted shares (golden-ratio sequence)."""
        place = (index * 0.6180339887498949) % 1.0 * sum(self.kinds.values())
        for kind, share in self.kinds.items():
            place -= share
            if place < 0:
                return kind
        return next(reversed(self.kinds))

    def batches(self, first_step: int, last_step: int, workers: int) -> Iterator[list[Item]]:
        """The batches of steps ``first_step`` to ``last_step`` (not included), drawn by so many processes."""
        size = self.recipe.batch
        order = [list(range(step * size, (step + 1) * size)) for step in range(first_step, last_step)]
        loader: DataLoader[Any] = DataLoader(self, batch_sampler=order, collate_fn=list, num_workers=workers)
        yield from loader


def prompt_of(drawn: PretrainSample) -> Prompt:
    """The prompt of a sample: class names with attributes, or a sentence with its phrases."""
    if drawn.prompt_parts:
        return Prompt.from_parts(drawn.prompt_parts)
    return Prompt.from_caption(drawn.caption, drawn.spans)


def load_named(source: str) -> Detector:
    """A nano detector by its name, or from a file whose name begins with it (``out/glip-nano-c.safetensors``)."""
    if not source.endswith(".safetensors"):
        return _load(source, None)
    return _load(source.rpartition("/")[2].removesuffix(".safetensors"), source)


def _load(name: str, weights: str | None) -> Detector:
    text = glip_core.config.get_config(name).has_text
    return glip_core.load(name, weights, num_classes=None if text else len(DETECTION_CLASSES))
