"""COCO annotations of the user's: read, checked field by field, brought to one form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from glip_core.errors import InputError
from odinw_bench.utils.io import parse_json, read_bytes, sha256_bytes, stays_inside
from odinw_bench.utils.text import is_text, shorten

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Annotations: TypeAlias = dict[str, Any]
"""A COCO annotation file: ``images``, ``annotations`` and ``categories``, lists of dicts."""

ImageId: TypeAlias = int | str
"""COCO's image ids: all integers or all strings within one file."""


_Id = TypeVar("_Id", int, str)


def read_annotations(path: Path | str, *, keep_background: bool = False) -> tuple[Annotations, str]:
    """Read a COCO annotation file.

    Args:
        path: the JSON file.
        keep_background: see :func:`check_annotations`.

    Returns:
        the annotations in the form of :func:`check_annotations`, and the SHA-256 of the file's bytes.

    Raises:
        InputError: the file is missing, not JSON, or not COCO; the message names the file and the field.
    """
    data = read_bytes(path, what="annotation file")
    parsed = parse_json(data, path, what="annotation file")
    return check_annotations(parsed, where=str(path), keep_background=keep_background), sha256_bytes(data)


def check_annotations(data: Any, *, where: str = "annotations", keep_background: bool = False) -> Annotations:
    """Check COCO annotations and bring them to one form. The input is not changed.

    - ``images`` and ``annotations`` keep their order, ``categories`` are sorted by id;
    - annotation ids are 1, 2, 3...: the reference evaluator never matches a ground truth with id 0, and common
      exports start there;
    - a background category (id 0, without annotations, beside others) is left out unless ``keep_background``;
    - where the file has an annotation with id 0, or one id twice, each keeps its id in the file as ``official_id``,
      since the reference evaluator gives other numbers on such a file as it is;
    - annotations of images that are not listed are left out, as the reference evaluator passes them over (subsets
      that were cut out of a file have them); a file with nothing else is refused;
    - ``area`` (width times height) and ``iscrowd`` (0) are filled in where missing;
    - what detection does not need (segmentations, licences) is left out.

    Args:
        data: what the JSON file holds.
        where: how errors call it: the file's path.
        keep_background: keep category 0 although nothing is annotated with it.

    Returns:
        a new dict with ``info``, ``images``, ``annotations`` and ``categories``; ``info["notes"]`` says in words what
        is odd in the file and was accepted, and is absent where nothing is.

    Raises:
        InputError: something is missing, of the wrong type, not finite, negative, repeated or unknown.
    """
    if not isinstance(data, Mapping):
        raise InputError(
            f"{where}: not a COCO annotation file: the top level is a {type(data).__name__}, "
            "not an object with 'images', 'annotations' and 'categories'"
        )
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            problem = f"'{key}' is missing" if key not in data else f"'{key}' is not a list"
            raise InputError(f"{where}: not a COCO annotation file: {problem}")
    images = [_image(entry, f"{where}: images[{i}]") for i, entry in enumerate(data["images"])]
    categories = [_category(entry, f"{where}: categories[{i}]") for i, entry in enumerate(data["categories"])]
    if not images:
        raise InputError(f"{where}: 'images' is empty")
    if not categories:
        raise InputError(f"{where}: 'categories' is empty")
    image_ids = _distinct_ids(images, f"{where}: images")
    category_ids = _distinct_ids(categories, f"{where}: categories")
    if len({isinstance(image_id, str) for image_id in image_ids}) > 1:
        raise InputError(f"{where}: images: ids must be all integers or all strings, not a mixture")
    every = [
        _annotation(entry, f"{where}: annotations[{i}]", image_ids, category_ids)
        for i, entry in enumerate(data["annotations"])
    ]
    boxes = [box for box in every if box["image_id"] in image_ids]
    if every and not boxes:
        raise InputError(
            f"{where}: all {len(every)} annotations are of images that the file does not list, such as "
            f"{shorten(every[0]['image_id'])}: its images and annotations are of different files"
        )
    notes = _notes(every, boxes)
    for number, box in enumerate(boxes, start=1):
        official = box.pop("official_id")
        box["id"] = number
        if notes.other_ids:
            box["official_id"] = number if official is None else official
    categories.sort(key=lambda category: category["id"])
    background = len(categories) > 1 and categories[0]["id"] == 0 and all(box["category_id"] for box in boxes)
    if background and not keep_background:
        del categories[0]
    info = {"notes": notes.text} if notes.text else {}
    return {"info": info, "images": images, "annotations": boxes, "categories": categories}


def trainable_ids(annotations: Mapping[str, Any]) -> list[ImageId]:
    """The images that training can use: at least one box with both sides longer than 1 pixel.

    Crowd boxes count, as in the official loader.

    Args:
        annotations: COCO annotations.

    Returns:
        image ids, ascending.
    """
    usable = {box["image_id"] for box in annotations["annotations"] if min(box["bbox"][2:]) > 1}
    return sorted(image["id"] for image in annotations["images"] if image["id"] in usable)


def class_labels(names: Mapping[_Id, str]) -> dict[_Id, str]:
    """What to call each category: its name, with the id where two categories share a name.

    Args:
        names: name of each category by its id.
    """
    shared = Counter(names.values())
    return {key: name if shared[name] == 1 else f"{name} (id {key})" for key, name in names.items()}


def learnable_boxes(annotations: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which boxes a detector learns from, by the rule of :meth:`odinw_bench.datasets.coco.Split.targets`.

    Crowd boxes are none, nor are those without extent once clipped to their image.

    Args:
        annotations: in the form of :func:`check_annotations`.

    Returns:
        ``[M]``, in the order of ``annotations["annotations"]``.
    """
    import numpy as np  # time that --help need not pay

    entries = annotations["annotations"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in annotations["images"]}
    # float32 as in the targets: the last bit decides what counts as empty
    boxes = np.array([box["bbox"] for box in entries], dtype=np.float32).reshape(-1, 4)
    limits = np.array([sizes[box["image_id"]] for box in entries], dtype=np.float32).reshape(-1, 2) - 1
    first = np.clip(boxes[:, :2], 0, limits)
    last = np.clip(boxes[:, :2] + np.maximum(boxes[:, 2:] - 1, 0), 0, limits)
    crowd = np.array([bool(box.get("iscrowd")) for box in entries], dtype=bool)
    learnable: NDArray[np.bool_] = (last > first).all(axis=1) & ~crowd
    return learnable


def _image(entry: Any, where: str) -> dict[str, Any]:
    _need(entry, where, "id", "file_name", "width", "height")
    if not _is_id(entry["id"]):
        raise InputError(f"{where}.id must be an integer or a string, not {shorten(entry['id'])}")
    for key in ("width", "height"):
        if not is_number(entry[key]) or entry[key] < 1 or entry[key] != int(entry[key]):
            raise InputError(f"{where}.{key} must be a whole number of pixels above 0, not {shorten(entry[key])}")
    return {
        "id": entry["id"],
        "file_name": _safe_name(entry["file_name"], where),
        "width": int(entry["width"]),
        "height": int(entry["height"]),
    }


def _category(entry: Any, where: str) -> dict[str, Any]:
    _need(entry, where, "id", "name")
    if not _is_integer(entry["id"]):
        raise InputError(f"{where}.id must be an integer, not {shorten(entry['id'])}")
    if not is_text(entry["name"]) or not entry["name"]:
        raise InputError(f"{where}.name must be a text, not {shorten(entry['name'])}")
    return {"id": entry["id"], "name": entry["name"]}


@dataclass(frozen=True)
class _Notes:
    """What is odd in a file.

    Attributes:
        text: in words.
        other_ids: the reference evaluator gives other numbers on the ids as they are.
    """

    text: list[str]
    other_ids: bool


def _notes(every: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> _Notes:
    text = []
    unlisted = len(every) - len(boxes)
    if unlisted:
        text.append(f"{unlisted} annotations of images that the file does not list were left out")
    ids = Counter(box["official_id"] for box in boxes if box["official_id"] is not None)
    zeros, repeated = ids[0], sum(count - 1 for count in ids.values() if count > 1)
    if zeros:
        text.append(
            f"{zeros} annotations have the id 0, which the reference evaluator never counts as found: AP numbers "
            "annotations from 1 and counts them, AP_official_ids takes the ids as they are"
        )
    if repeated:
        text.append(
            f"{repeated} annotations repeat the id of another: AP counts each, AP_official_ids takes the ids as they "
            "are, so that the last of one id stands for all of them"
        )
    flat = sum(min(box["bbox"][2:]) == 0 for box in boxes)
    if flat:
        text.append(f"{flat} boxes have no width or no height: nothing is learnt from them, and they count as missed")
    return _Notes(text, bool(zeros or repeated))


def _annotation(entry: Any, where: str, image_ids: set[ImageId], category_ids: set[ImageId]) -> dict[str, Any]:
    _need(entry, where, "image_id", "category_id", "bbox")
    box = entry["bbox"]
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
        raise InputError(f"{where}.bbox must be four finite numbers (x, y, width, height), not {shorten(box)}")
    if box[2] < 0 or box[3] < 0:
        raise InputError(f"{where}.bbox has a negative width or height: {shorten(box)}")
    if not _is_id(entry["image_id"]) or is_text(entry["image_id"]) != is_text(next(iter(image_ids))):
        raise InputError(f"{where}.image_id {shorten(entry['image_id'])} is not the id of an image of this file")
    if not _is_integer(entry["category_id"]) or entry["category_id"] not in category_ids:
        raise InputError(
            f"{where}.category_id {shorten(entry['category_id'])} is not a category of this file; it has "
            f"{shorten(sorted(category_ids))}"
        )
    area = entry.get("area", box[2] * box[3])
    if not is_number(area) or area < 0:
        raise InputError(f"{where}.area must be a number of at least 0, not {shorten(area)}")
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise InputError(f"{where}.iscrowd must be 0 or 1, not {shorten(crowd)}")
    official = entry.get("official_id", entry.get("id"))
    return {
        "id": 0,
        "official_id": official if _is_integer(official) else None,
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "bbox": [float(value) for value in box],
        "area": float(area),
        "iscrowd": int(crowd),
    }


def _need(entry: Any, where: str, *keys: str) -> None:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} must be an object, not {shorten(entry)}")
    for key in keys:
        if key not in entry:
            raise InputError(f"{where} has no '{key}'")


def _safe_name(name: Any, where: str) -> str:
    """A file name that stays inside the image folder, whichever system's paths it was written with."""
    if not is_text(name) or not name or "\0" in name:
        raise InputError(f"{where}.file_name must be a file name, not {shorten(name)}")
    if not stays_inside(name):
        raise InputError(f"{where}.file_name {shorten(name)} must be a path inside the image folder")
    return str(name)


def _distinct_ids(entries: list[dict[str, Any]], where: str) -> set[ImageId]:
    seen: set[ImageId] = set()
    for entry in entries:
        if entry["id"] in seen:
            raise InputError(f"{where} has the id {shorten(entry['id'])} twice")
        seen.add(entry["id"])
    return seen


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_id(value: Any) -> bool:
    return _is_integer(value) or is_text(value)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that fits a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False
