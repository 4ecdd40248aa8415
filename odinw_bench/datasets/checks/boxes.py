"""Annotation files, read leniently: whatever can be counted is counted, whatever is odd is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import is_number
from odinw_bench.datasets.checks.findings import Findings
from odinw_bench.utils.io import parse_json, read_bytes
from odinw_bench.utils.text import shorten

SLACK = 1.0
"""Pixels that a box may lie outside: roundings of labelling tools."""


@dataclass(frozen=True)
class Counts:
    """What a split holds.

    Attributes:
        images: how many.
        boxes: how many, of which ``crowd``.
        crowd: boxes around groups.
        empty: images without a box.
        classes: boxes by class name, in the order of the categories' ids.
    """

    images: int
    boxes: int
    crowd: int
    empty: int
    classes: dict[str, int]


def check_annotation_file(path: Path, split: str, findings: Findings) -> tuple[Counts, list[Mapping[str, Any]]]:
    """Check one file.

    Returns:
        what could be counted, and the entries of the images that could be read.
    """
    try:
        data = parse_json(read_bytes(path, what="annotation file"), path, what="annotation file")
    except InputError as error:
        findings.add(split, "annotations unusable", str(error))
        data = {}
    return check_content(data, split, findings)


def check_content(data: Any, split: str, findings: Findings) -> tuple[Counts, list[Mapping[str, Any]]]:
    """Check what an annotation file holds; see :func:`check_annotation_file`."""
    images, boxes, categories = (_entries(data, key) for key in ("images", "annotations", "categories"))
    _repeated(images, split, "duplicate image id", findings)
    _repeated(boxes, split, "duplicate annotation id", findings)
    sizes = {str(image.get("id")): image for image in images}
    used: Counter[str] = Counter()
    for box in boxes:
        used[str(box.get("image_id"))] += 1
        if str(box.get("image_id")) not in sizes:
            text = f"annotation {shorten(box.get('id'))}: image {shorten(box.get('image_id'))}"
            findings.add(split, "annotation of an image that is not listed", text)
        if box.get("id") == 0 and not isinstance(box.get("id"), bool):
            findings.add(split, "annotation with id 0", "pycocotools never counts it as found")
        _check_box(box, sizes.get(str(box.get("image_id"))), split, findings)
    names = {str(entry.get("id")): str(entry.get("name")) for entry in categories}
    of_class = Counter(str(box.get("category_id")) for box in boxes)
    classes = {name: of_class[key] for key, name in names.items() if key != "0" or of_class[key]}
    empty = sum(not used[key] for key in sizes)
    crowd = sum(box.get("iscrowd") == 1 for box in boxes)
    return Counts(len(images), len(boxes), crowd, empty, classes), images


def _check_box(box: Mapping[str, Any], image: Mapping[str, Any] | None, split: str, findings: Findings) -> None:
    corners, text = box.get("bbox"), f"annotation {shorten(box.get('id'))}"
    if not isinstance(corners, Sequence) or len(corners) != 4 or not all(map(is_number, corners)):
        return  # whoever opens the split names it
    x, y, width, height = corners
    text += f": {[round(value, 1) for value in corners]}"
    if width <= 0 or height <= 0:
        findings.add(split, "box without area", text)
    if image is None or not is_number(image.get("width")) or not is_number(image.get("height")):
        return
    right, bottom = image["width"] + SLACK, image["height"] + SLACK
    if x < -SLACK or y < -SLACK or x + width > right or y + height > bottom:
        findings.add(split, "box outside the image", f"{text} in {image['width']}x{image['height']}")


def _repeated(entries: Iterable[Mapping[str, Any]], split: str, kind: str, findings: Findings) -> None:
    seen: set[str] = set()
    for entry in entries:
        key = str(entry.get("id"))
        if key in seen:
            findings.add(split, kind, shorten(entry.get("id")))
        seen.add(key)


def _entries(data: Any, key: str) -> list[Mapping[str, Any]]:
    listed = data.get(key) if isinstance(data, Mapping) else None
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
