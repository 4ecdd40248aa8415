"""COCO- and LVIS-shaped folders in the official layout, with pictures that are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from odinw_bench.datasets.suites.coco import coco_classes
from odinw_bench.mini.others import render_other


def write_coco(root: Path, *, train: int = 24, val: int = 3, below: str = "coco/") -> Path:
    """COCO 2017 as it is unpacked; the things in the pictures are called by the first of COCO's names."""
    categories = [{"id": one.category_id, "name": one.name, "supercategory": "made up"} for one in coco_classes()]
    ids = [category["id"] for category in categories]
    for split, drawn, count in (("train2017", "train", train), ("val2017", "test", val)):
        annotations, load = render_other("mini-coco", drawn)
        images = [image | {"license": 1} for image in annotations["images"][:count]]
        taken = {image["id"] for image in images}
        boxes = [
            box | {"category_id": ids[box["category_id"] - 1], "segmentation": [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]]}
            for box in annotations["annotations"]
            if box["image_id"] in taken
        ]
        _write(root / below / f"annotations/instances_{split}.json", images, boxes, categories)
        for image in images:
            _picture(root / below / split / image["file_name"], load(image["file_name"]))
    return root


def write_lvis(root: Path, *, images: int = 4, below: str = "coco/", name: str = "lvis_od_val.json") -> Path:
    """LVIS' val: pictures in two folders, found by ``coco_url`` alone; annotations beside COCO's."""
    annotations, load = render_other("mini-lvis", "test")
    kept = []
    for number, image in enumerate(annotations["images"][:images]):
        place = f"{('train2017', 'val2017')[number % 2]}/{image['file_name']}"
        _picture(root / "coco" / place, load(image["file_name"]))
        kept.append({**image, "coco_url": f"http://images.cocodataset.org/{place}"})
        del kept[-1]["file_name"]
    taken = {image["id"] for image in kept}
    boxes = [box for box in annotations["annotations"] if box["image_id"] in taken]
    _write(root / below / f"annotations/{name}", kept, boxes, annotations["categories"])
    return root


def _write(path: Path, images: list[Any], boxes: list[Any], categories: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def _picture(path: Path, picture: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
