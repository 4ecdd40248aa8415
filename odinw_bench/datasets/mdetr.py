"""MDETR's annotation files (Kamath et al. 2021): an image entry is a sentence, an annotation a box with its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import check_annotations, is_number
from odinw_bench.datasets.sentences import Corners, Span
from odinw_bench.utils.io import parse_json, read_bytes, sha256_bytes
from odinw_bench.utils.text import is_text, shorten

ARCHIVE = "https://zenodo.org/records/4729015/files/mdetr_annotations.tar.gz"
"""Where the files are."""


Boxes = Sequence[tuple[Corners, tuple[Span, ...]]]


@dataclass(frozen=True)
class Entry:
    """A sentence of a file.

    Attributes:
        number: id of the entry.
        sentence_number: place among the sentences of its picture; None where the file does not say.
        image: ``id`` of the picture, ``file_name``, ``width`` and ``height``.
        text: the sentence.
        phrases: character spans of each phrase that is tested; None where the file lists none.
        boxes: each box with the spans it belongs to.
    """

    number: int
    sentence_number: int | None
    image: Mapping[str, Any]
    text: str
    phrases: tuple[tuple[Span, ...], ...] | None
    boxes: Boxes


def read_mdetr(path: Path, picture: str) -> tuple[list[Entry], str]:
    """Read a file.

    Args:
        path: the JSON file.
        picture: the key that says which picture a sentence is about: ``original_img_id`` or ``original_id``.

    Returns:
        the entries in the file's order, and the SHA-256 of its bytes.

    Raises:
        InputError: the file is missing or not of this form; the message names the field.
    """
    data = read_bytes(path, what="annotation file")
    content = parse_json(data, path, what="annotation file")
    listed = [content.get(key) if isinstance(content, Mapping) else None for key in ("images", "annotations")]
    if not all(isinstance(one, list) for one in listed):
        raise InputError(f"'{path}' must hold 'images' and 'annotations', as MDETR's files do ({ARCHIVE})")
    images, annotations = listed
    boxes: dict[int, list[tuple[Corners, tuple[Span, ...]]]] = defaultdict(list)
    for number, entry in enumerate(annotations or ()):
        where = f"{path}: annotations[{number}]"
        box = _field(entry, "bbox", where)
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)) or min(box[2:]) < 0:
            raise InputError(f"{where}.bbox must be four numbers (x, y, width, height), not {shorten(box)}")
        x, y, width, height = map(float, box)
        spans = _spans(entry.get("tokens_positive", []), f"{where}.tokens_positive")
        boxes[_integer(entry, "image_id", where)].append(((x, y, x + width, y + height), spans))
    checked = _pictures(images or [], path)
    entries = [
        _entry(image, {**known, "id": _integer(image, picture, where)}, where, boxes)
        for image, known, where in zip(images or [], checked, _names(path, images or []), strict=True)
    ]
    return entries, sha256_bytes(data)


def _names(path: Path, images: Sequence[Any]) -> list[str]:
    return [f"{path}: images[{place}]" for place in range(len(images))]


def _pictures(images: Sequence[Any], path: Path) -> list[dict[str, Any]]:
    """The entries as COCO's, checked; their sizes are texts in the files of Flickr30k."""
    sized = [
        {**image, **{side: _whole(image.get(side)) for side in ("width", "height") if side in image}}
        if isinstance(image, Mapping)
        else image
        for image in images
    ]
    whole = {"images": sized, "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    found: list[dict[str, Any]] = check_annotations(whole, where=str(path))["images"]
    return found


def _entry(image: Mapping[str, Any], picture: Mapping[str, Any], where: str, boxes: Mapping[int, Boxes]) -> Entry:
    text = _field(image, "caption", where)
    if not is_text(text) or not text.strip():
        raise InputError(f"{where}.caption must be a sentence, not {shorten(text)}")
    number = _integer(image, "id", where)
    listed = image.get("tokens_positive_eval")
    if listed is not None and not isinstance(listed, list):
        raise InputError(f"{where}.tokens_positive_eval must list the spans of each phrase, not {shorten(listed)}")
    phrases = listed and tuple(_spans(spans, f"{where}.tokens_positive_eval") for spans in listed)
    for spans in [*(phrases or ()), *(spans for _, spans in boxes.get(number, ()))]:
        if any(end > len(text) for _, end in spans):
            raise InputError(f"{where}: {shorten(list(spans))} lies beyond the caption's {len(text)} characters")
    return Entry(
        number=number,
        sentence_number=_integer(image, "sentence_id", where) if "sentence_id" in image else None,
        image=picture,
        text=text,
        phrases=None if listed is None else tuple(phrases or ()),
        boxes=tuple(boxes.get(number, ())),
    )


def _field(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, Mapping) or key not in entry:
        raise InputError(f"{where} has no '{key}': is this one of MDETR's files?")
    return entry[key]


def _integer(entry: Any, key: str, where: str) -> int:
    value = _whole(_field(entry, key, where))
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{where}.{key} must be a whole number, not {shorten(value)}")
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _spans(listed: Any, where: str) -> tuple[Span, ...]:
    good = isinstance(listed, list) and all(
        isinstance(span, list)
        and len(span) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) for end in span)
        and 0 <= span[0] < span[1]
        for span in listed
    )
    if not good:
        raise InputError(f"{where} must list spans such as [0, 5], not {shorten(listed)}")
    return tuple((start, end) for start, end in listed)
