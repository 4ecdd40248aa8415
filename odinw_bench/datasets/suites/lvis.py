"""LVIS v1 as suites of one task each, ``lvis`` (val) and ``lvis-minival``; the classes are those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split, load_from
from odinw_bench.datasets.sources.files import remedy
from odinw_bench.datasets.task import Source, SplitPaths, Task
from odinw_bench.utils.io import parse_json, read_bytes, sha256_bytes
from odinw_bench.utils.text import shorten

FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
"""Fields of an image: categories that were looked for and are not in it, and such of which not all were annotated."""

FREQUENCIES = ("r", "c", "f")
"""Rare, common, frequent: a category's ``frequency``."""

_LICENCE = "annotations: CC BY 4.0; pictures: COCO's, Flickr's terms of use"
_PAGE = "https://www.lvisdataset.org/dataset"


def val_tasks() -> list[Task]:
    """The suite ``lvis``: val of version 1.0."""
    return [_task("lvis", "LVIS v1 val", 19_809, "lvis_od_val.json", "lvis_v1_val.json")]


def minival_tasks() -> list[Task]:
    """The suite ``lvis-minival``: the part of val without pictures of COCO's training set."""
    names = ("lvis_v1_minival_inserted_image_name.json", "lvis_v1_minival.json")
    return [_task("lvis-minival", "LVIS v1 minival", 4_809, *names)]


def _task(name: str, title: str, count: int, *files: str) -> Task:
    places = [(f"{above}annotations/{file}", "coco" if above else ".") for above in ("coco/", "") for file in files]
    return Task(
        name=name,
        title=title,
        suite=name,
        classes=(),
        splits={"val": SplitPaths(*places[0], count, elsewhere=tuple(places[1:]))},
        eval_split="val",
        licence=_LICENCE,
        source=Source(page=_PAGE, format="lvis"),
        notes=(
            "Federated: each image is judged in the categories that were looked for in it alone.",
            "Its classes are read from the annotation file. Pictures lie below coco/ as the last two parts of each "
            "image's coco_url say: train2017/ and val2017/.",
            "predictions.json holds the detections that count for fixed or plain AP, not all.",
        ),
        evaluation="lvis",
        tested_on="val",
    )


def open_split(task: Task, name: str, root: Path) -> Split:
    """A split under the data root, with what federated evaluation needs.

    Raises:
        InputError: a file is missing or not LVIS.
    """
    paths = task.splits[name].found_in(root)
    file, images = root / paths.annotations, root / paths.images
    if not file.is_file():
        raise InputError(f"'{paths.annotations}' of task '{task.name}' not found in '{root}'{remedy(task, root)}")
    if not images.is_dir():
        raise InputError(f"image folder '{images}' not found; the annotations '{file}' need it")
    data = read_bytes(file, what="annotation file")
    content = lvis_annotations(parse_json(data, file, what="annotation file"), where=str(file))
    return Split(content, load_from(images), sha256=sha256_bytes(data), folder=images)


def lvis_annotations(content: Any, *, where: str) -> dict[str, Any]:
    """LVIS annotations in the form of :func:`odinw_bench.datasets.annotations.check_annotations`, and more.

    An image without ``file_name`` has the last two parts of its ``coco_url``. Images keep :data:`FEDERATED`,
    categories their ``frequency``, annotations the id that the file gives them.

    Args:
        content: what the JSON file holds.
        where: how errors call it.

    Raises:
        InputError: something is missing, of the wrong type or unknown.
    """
    if not isinstance(content, Mapping) or not all(
        isinstance(content.get(key), list) and all(isinstance(one, Mapping) for one in content[key])
        for key in ("images", "categories", "annotations")
    ):
        raise InputError(
            f"{where}: not an LVIS annotation file: it needs lists of objects 'images', 'annotations' and 'categories'"
        )
    images = [_with_file_name(image, f"{where}: images[{number}]") for number, image in enumerate(content["images"])]
    checked = check_annotations({**content, "images": images}, where=where, keep_background=True)
    known = {category["id"] for category in checked["categories"]}
    for number, (image, given) in enumerate(zip(checked["images"], content["images"], strict=True)):
        if not isinstance(image["id"], int):
            raise InputError(f"{where}: images[{number}].id must be a whole number, as in LVIS files")
        for key in FEDERATED:
            ids = given.get(key) or []
            if not isinstance(ids, list) or not all(isinstance(one, int) and one in known for one in ids):
                raise InputError(f"{where}: images[{number}].{key} must be a list of category ids, not {shorten(ids)}")
            image[key] = ids
    frequency = {category["id"]: category.get("frequency") for category in content["categories"]}
    for category in checked["categories"]:
        if frequency[category["id"]] not in FREQUENCIES:
            raise InputError(
                f"{where}: category {category['id']} has the frequency {shorten(frequency[category['id']])}, LVIS' are "
                "r, c and f; a COCO file is run by its folder"
            )
        category["frequency"] = frequency[category["id"]]
    for box in checked["annotations"]:
        box["id"] = box.pop("official_id", box["id"])  # id 0 is never found, as in the official evaluator
    return checked


def _with_file_name(image: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if "file_name" in image:
        return image
    url = image.get("coco_url")
    if not isinstance(url, str) or len(parts := url.split("/")[-2:]) < 2:
        raise InputError(f"{where} has neither file_name nor a coco_url that ends in FOLDER/FILE")
    return {**image, "file_name": "/".join(parts)}
