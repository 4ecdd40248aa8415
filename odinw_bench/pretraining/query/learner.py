"""Query detectors as the training loop sees them."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from odinw_bench.models.hub.matching import relative_boxes
from odinw_bench.models.hub.text import closed_caption
from odinw_bench.pretraining.data import Item
from odinw_bench.pretraining.query.assignment import Truth
from odinw_bench.pretraining.query.losses import dense_losses, matched_losses
from odinw_bench.pretraining.query.networks import MOST_TOKENS
from odinw_bench.utils.io import write_text

FACTS = "pretraining.json"
"""How the weights of a folder were made."""

REPEAT = 4
"""Queries for a box in all decoder layers but the last."""


class QueryLearner(ABC):
    """What the two kinds share.

    Args:
        network: of transformers.
        processor: its own.
        borrowed: beginnings of the names of parameters that are not new.
    """

    borrowed: tuple[str, ...] = ("model.backbone.",)

    def __init__(self, network: Any, processor: Any) -> None:
        self.network, self.processor = network, processor

    def losses(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """``class`` and ``box`` losses of the decoder, and of the encoder (``dense_``)."""
        pixels = torch.stack([item.pixels for item in items]).flip(1)  # RGB
        return self._losses(items, pixels)

    @abstractmethod
    def _losses(self, items: Sequence[Item], pixels: Tensor) -> dict[str, Tensor]: ...

    def save(self, out: Path, model: str, facts: Mapping[str, str]) -> Path:
        """Write network and processor in half precision, as ``from_pretrained`` reads them, and the facts beside.

        Args:
            out: the folder of the training.
            model: the name of the folder in it.
            facts: of the model's card.

        Returns:
            the folder.
        """
        folder = out / model
        copy.deepcopy(self.network).half().save_pretrained(folder)
        self.processor.save_pretrained(folder)
        write_text(folder / FACTS, json.dumps(dict(facts), indent=1) + "\n")
        return folder


class GroundingLearner(QueryLearner):
    """A network of the Grounding DINO families."""

    borrowed: tuple[str, ...] = ("model.backbone.", "model.text_backbone.")

    def _losses(self, items: Sequence[Item], pixels: Tensor) -> dict[str, Tensor]:
        ids, there, truths = self._texts(items)
        seen: dict[str, Tensor] = {}

        def look(logits: Tensor, *_: Any, outputs_class: Tensor, outputs_coord: Tensor, **__: Any) -> Any:
            seen.update(classes=outputs_class, boxes=outputs_coord)
            return logits, {}, None

        def look_inside(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
            seen.update(dense=outputs.enc_outputs_class, coordinates=outputs.enc_outputs_coord_logits)

        usual, self.network.loss_function = self.network.loss_function, look
        hook = self.network.model.register_forward_hook(look_inside)
        try:
            self.network(pixel_values=pixels, input_ids=ids, attention_mask=there, labels=[{}])
        finally:
            hook.remove()
            self.network.loss_function = usual
        mask = torch.zeros(len(items), MOST_TOKENS, dtype=torch.bool)
        mask[:, : ids.shape[1]] = there.bool()
        spots = places((pixels.shape[-2], pixels.shape[-1]), self.network.config.num_feature_levels)
        dense = dense_losses(seen["dense"], seen["coordinates"], spots, mask, truths)
        return by_kind(dense, seen["classes"], seen["boxes"], mask, truths)

    def _texts(self, items: Sequence[Item]) -> tuple[Tensor, Tensor, list[Truth]]:
        """Tokens ``[B, T]``, which of them there are, and what is to be found."""
        encodings = [self.processor.tokenizer(closed_caption(item.prompt)).encodings[0] for item in items]
        ids = torch.zeros(len(items), max(len(one.ids) for one in encodings), dtype=torch.long)
        there = torch.zeros_like(ids)
        truths = []
        for row, (item, one) in enumerate(zip(items, encodings, strict=True)):
            ids[row, : len(one.ids)], there[row, : len(one.ids)] = torch.tensor(one.ids), 1
            truths.append(truth_of(item, item.prompt.token_map(one), MOST_TOKENS))
        return ids, there, truths


class ClosedLearner(QueryLearner):
    """An RT-DETR."""

    def _losses(self, items: Sequence[Item], pixels: Tensor) -> dict[str, Tensor]:
        classes = self.network.config.num_labels
        truths = [truth_of(item, [[label] for label in range(classes)], classes) for item in items]
        outputs = self.network(pixel_values=pixels)
        mask = torch.ones(len(items), classes, dtype=torch.bool)
        spots = places((pixels.shape[-2], pixels.shape[-1]), self.network.config.num_feature_levels)
        dense = dense_losses(outputs.enc_outputs_class, outputs.enc_outputs_coord_logits, spots, mask, truths)
        layers = outputs.intermediate_logits.transpose(0, 1), outputs.intermediate_reference_points.transpose(0, 1)
        return by_kind(dense, *layers, mask, truths)


def by_kind(
    dense: tuple[Tensor, Tensor], classes: Tensor, boxes: Tensor, mask: Tensor, truths: Sequence[Truth]
) -> dict[str, Tensor]:
    """The losses by kind, from those of the encoder and the outputs ``[L, B, Q, ...]`` of the decoder's layers."""
    last = len(classes) - 1
    layers = [
        matched_losses(scores, found, mask, truths, repeat=1 if number == last else REPEAT)
        for number, (scores, found) in enumerate(zip(classes, boxes, strict=True))
    ]
    return {
        "dense_class": dense[0],
        "dense_box": dense[1],
        "class": torch.stack([one for one, _ in layers]).sum(),
        "box": torch.stack([one for _, one in layers]).sum(),
    }


def truth_of(item: Item, tokens: Sequence[Sequence[int]], length: int) -> Truth:
    """What is to be found: a box once, with the tokens of all phrases that speak of it.

    Args:
        item: of the stream.
        tokens: of each of its classes or phrases.
        length: number of tokens.
    """
    phrases: dict[tuple[float, ...], set[int]] = {}
    for box, label in zip(item.targets.boxes.tolist(), item.targets.labels.tolist(), strict=True):
        phrases.setdefault(tuple(box), set()).update(tokens[label])
    phrases = {box: some for box, some in phrases.items() if some}
    boxes = torch.tensor(list(phrases), dtype=torch.float32).reshape(-1, 4)
    marked = torch.zeros(len(phrases), length)
    for row, some in zip(marked, phrases.values(), strict=True):
        row[list(some)] = 1.0
    return Truth(relative_boxes(boxes, (item.pixels.shape[-2], item.pixels.shape[-1])), marked)


def places(hw: tuple[int, int], levels: int, finest: int = 8) -> Tensor:
    """``[N, 2]``, where in the image (x and y in parts of it) the places of an encoder's levels are."""
    found = []
    for level in range(levels):
        height, width = (-(-side // (finest * 2**level)) for side in hw)
        rows, columns = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        found.append(torch.stack([x, y], dim=-1).reshape(-1, 2))
    return torch.cat(found)
