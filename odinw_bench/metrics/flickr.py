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
from odinw_bench.datasets.entities import read_entities
from odinw_bench.datasets.sentences import TruePhrase
from odinw_bench.metrics.overlap import corner_iou
from odinw_bench.utils.text import shorten

RANKS: Mapping[str, int | None] = {"R@1": 1, "R@5": 5, "R@10": 10, "upper_bound": None}
"""How many of a phrase's first boxes may hold the answer; None: all of them."""

Key = tuple[int, int]
"""A sentence: the image's id and the sentence's number."""

Truth = Mapping[Key, Sequence[TruePhrase]]

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
    truth = {
        (image_id, number): [TruePhrase((), image.boxes[one.entity], one.types) for one in image.grounded(number)]
        for image_id, image in images.items()
        for number in range(len(image.sentences))
    }
    return phrase_recalls(truth, predictions, merged=merged)


def phrase_recalls(
    truth: Truth, predictions: Sequence[Mapping[str, Any]], *, merged: bool = False, count_images: bool = False
) -> dict[str, Any]:
    """Recall of ranked boxes for phrases whose true boxes are known; see :func:`evaluate_flickr`.

    Args:
        truth: the phrases of each sentence, those without a box left out; a sentence without phrases is not evaluated.
        predictions: see :func:`evaluate_flickr`.
        merged: likewise.
        count_images: also give ``by_image``: how many phrases of each image were found at 1, of how many.

    Raises:
        InputError: see :func:`evaluate_flickr`.
    """
    wanted = {key: phrases for key, phrases in truth.items() if phrases}
    ranked = _by_sentence(wanted, predictions)
    totals: Counter[str] = Counter()
    by_image: dict[int, tuple[int, int]] = {key[0]: (0, 0) for key in wanted}
    hits: dict[str, Counter[str]] = {name: Counter() for name in RANKS}
    for key, lists in ranked.items():
        for phrase, boxes in zip(wanted[key], lists, strict=True):
            kinds = (_ALL, *dict.fromkeys(phrase.types))
            totals.update(kinds)
            first = _first_hit(boxes, _truth(phrase, merged=merged))
            found, among = by_image[key[0]]
            by_image[key[0]] = (found + (first == 0), among + 1)
            for name, rank in RANKS.items():
                if first is not None and (rank is None or first < rank):
                    hits[name].update(kinds)
    return {
        **_recalls(totals, hits, _ALL),
        "per_type": {kind: _recalls(totals, hits, kind) for kind in sorted(totals) if kind != _ALL},
        **({"by_image": by_image} if count_images else {}),
    }


def _by_sentence(wanted: Truth, predictions: Sequence[Mapping[str, Any]]) -> dict[Key, list[NDArray[np.float64]]]:
    """The ranked boxes of every sentence that is evaluated."""
    found: dict[Key, list[NDArray[np.float64]]] = {}
    if not isinstance(predictions, Sequence) or isinstance(predictions, str):
        raise InputError(f"the predictions must be a list of sentences with their boxes, not {shorten(predictions)}")
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
        if len(lists) != len(wanted[key]):
            raise InputError(
                f"{where} (image {key[0]}, sentence {key[1]}) has boxes for {len(lists)} phrases; "
                f"{len(wanted[key])} phrases of it have a true box"
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
    except (TypeError, ValueError, OverflowError) as error:  # the last: Infinity
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


def _truth(phrase: TruePhrase, *, merged: bool) -> NDArray[np.float64]:
    boxes = np.array(phrase.boxes, dtype=np.float64)
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
