"""Annotation files, read leniently: whatever can be counted is counted, whatever is odd is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import class_labels, is_number
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
        classes: boxes by class name, with the id where two categories share it, in the order of the file.
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
    of_class = Counter(str(box.get("category_id")) for box in boxes)
    names = {str(entry.get("id")): str(entry.get("name")) for entry in categories}
    if len(names) > 1 and not of_class["0"]:
        names.pop("0", None)  # a background category
    classes = {label: of_class[key] for key, label in class_labels(names).items()}
    _check_classes(names, classes, split, findings)
    if images and not boxes:
        findings.add(split, "split without boxes", f"{len(images)} images, and nothing to find in them")
    empty = sum(not used[key] for key in sizes)
    crowd = sum(box.get("iscrowd") == 1 for box in boxes)
    return Counts(len(images), len(boxes), crowd, empty, classes), images


def _check_classes(names: Mapping[str, str], classes: Mapping[str, int], split: str, findings: Findings) -> None:
    """Names that stand for two categories, and classes that nothing is of where there are boxes of others.

    Args:
        names: of each category by its id.
        classes: how many boxes there are of each, by its label.
        split: where.
        findings: is given what is found.
    """
    ids: dict[str, list[str]] = {}
    for key, name in names.items():
        ids.setdefault(name, []).append(key)
    for name, keys in ids.items():
        if len(keys) > 1:
            text = f"{shorten(name)} (ids {', '.join(keys)}): a prompt of the names says it {len(keys)} times"
            findings.add(split, "two categories of one name", text)
    for label, count in classes.items():
        if not count and any(classes.values()):
            findings.add(split, "class without boxes", label)


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
