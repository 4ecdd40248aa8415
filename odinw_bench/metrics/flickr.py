"""Phrase grounding on Flickr30k Entities: recall at k of the boxes ranked for each phrase, in percent."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import is_number
from odinw_bench.datasets.entities import EntitiesImage, read_entities
from odinw_bench.metrics.overlap import corner_iou
from odinw_bench.utils.text import shorten

RANKS: Mapping[str, int | None] = {"R@1": 1, "R@5": 5, "R@10": 10, "upper_bound": None}
"""How many of a phrase's first boxes may hold the answer; None: all of them."""

_OVERLAP = 0.5
_ALL = "all"


def evaluate_flickr(
    entities_root: Path | str, subset: str, predictions: Sequence[Mapping[str, Any]], *, merged: bool = False
) -> dict[str, Any]:
    """Recall of ranked boxes for the phrases of a subset.

    A phrase counts if its entity has a box in the image. It is found at k if one of its first k boxes overlaps one of
    its true boxes by at least half (IoU, corners as they are).

    Args:
        entities_root: folder of the raw files, see :func:`odinw_bench.datasets.entities.read_entities`.
        subset: ``val`` or ``test``.
        predictions: one for each sentence that has such phrases, in any order: ``image_id``, ``sentence_id`` (0 to
            4) and ``boxes``: for each of these phrases, in the sentence's order, boxes x1, y1, x2, y2, best first, at
            least one. What is predicted for other sentences, or a second time, is ignored with a warning.
        merged: a phrase's true boxes are replaced by the one box around them all (the paper's numbers: False).

    Returns:
        ``R@1``, ``R@5``, ``R@10``, ``upper_bound`` (any of the boxes) in percent, 0 to 100, None without phrases;
        ``phrases``, how many; and ``per_type``: the same by type (a phrase of two types counts in both).

    Raises:
        InputError: a file cannot be used, a sentence's prediction is missing, has another number of phrases than the
            sentence, or a box or list of boxes that is none.
    """
    images = read_entities(entities_root, subset)
    ranked = _by_sentence(images, predictions)
    phrases: Counter[str] = Counter()
    hits: dict[str, Counter[str]] = {name: Counter() for name in RANKS}
    for (image_id, number), lists in ranked.items():
        image = images[image_id]
        for phrase, boxes in zip(image.grounded(number), lists, strict=True):
            kinds = (_ALL, *dict.fromkeys(phrase.types))
            phrases.update(kinds)
            first = _first_hit(boxes, _truth(image, phrase.entity, merged=merged))
            for name, rank in RANKS.items():
                if first is not None and (rank is None or first < rank):
                    hits[name].update(kinds)
    return {
        **_recalls(phrases, hits, _ALL),
        "per_type": {kind: _recalls(phrases, hits, kind) for kind in sorted(phrases) if kind != _ALL},
    }


def _by_sentence(
    images: Mapping[int, EntitiesImage], predictions: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], list[NDArray[np.float64]]]:
    """The ranked boxes of every sentence that is evaluated."""
    wanted = {
        (image_id, number): len(image.grounded(number))
        for image_id, image in images.items()
        for number in range(len(image.sentences))
        if image.grounded(number)
    }
    found: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for place, entry in enumerate(predictions):
        where = f"predictions[{place}]"
        if not isinstance(entry, Mapping) or not {"image_id", "sentence_id", "boxes"} <= entry.keys():
            raise InputError(f"{where} must be an object with image_id, sentence_id, boxes, not {shorten(entry)}")
        key, lists = _key(entry, where), entry["boxes"]
        if not isinstance(lists, Sequence) or isinstance(lists, str):
            raise InputError(f"{where}.boxes must hold a list of boxes for each phrase, not {shorten(lists)}")
        if key not in wanted:
            if len(lists):
                warnings.warn(f"sentence {key[1]} of image {key[0]} is not evaluated: ignored", stacklevel=3)
            continue
        if key in found:
            warnings.warn(f"sentence {key[1]} of image {key[0]} is predicted twice: the first counts", stacklevel=3)
            continue
        if len(lists) != wanted[key]:
            raise InputError(
                f"{where} (image {key[0]}, sentence {key[1]}) has boxes for {len(lists)} phrases; "
                f"{wanted[key]} phrases of it have a true box"
            )
        found[key] = [_ranked(boxes, f"{where}.boxes[{number}]") for number, boxes in enumerate(lists)]
    if missing := [key for key in wanted if key not in found]:
        image, sentence = missing[0]
        raise InputError(f"no prediction for sentence {sentence} of image {image} ({len(missing)} missing in all)")
    return found


def _key(entry: Mapping[str, Any], where: str) -> tuple[int, int]:
    image, sentence = entry["image_id"], entry["sentence_id"]
    try:
        return int(image), int(sentence)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: image_id and sentence_id must be whole numbers, not {shorten(image)} and {shorten(sentence)}"
        ) from error


def _ranked(boxes: Any, where: str) -> NDArray[np.float64]:
    """``[N, 4]``, best first."""
    if not isinstance(boxes, Sequence) or isinstance(boxes, str) or not len(boxes):
        raise InputError(f"{where} must hold at least one box (none found: [0, 0, 0, 0]), not {shorten(boxes)}")
    for box in boxes:
        if not isinstance(box, Sequence) or isinstance(box, str) or len(box) != 4 or not all(map(is_number, box)):
            raise InputError(f"{where} holds {shorten(box)}, which is no box x1, y1, x2, y2")
    return np.array(boxes, dtype=np.float64)


def _truth(image: EntitiesImage, entity: str, *, merged: bool) -> NDArray[np.float64]:
    boxes = np.array(image.boxes[entity], dtype=np.float64)
    if merged:
        boxes = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
    return boxes


def _first_hit(boxes: NDArray[np.float64], truth: NDArray[np.float64]) -> int | None:
    """Rank, from 0, of the first box that is right."""
    right = np.flatnonzero((corner_iou(boxes, truth) >= _OVERLAP).any(axis=1))
    return int(right[0]) if len(right) else None


def _recalls(phrases: Counter[str], hits: Mapping[str, Counter[str]], kind: str) -> dict[str, Any]:
    total = phrases[kind]
    recalls = {name: round(100 * counts[kind] / total, 10) if total else None for name, counts in hits.items()}
    return {**recalls, "phrases": total}
