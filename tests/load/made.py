"""Grids, data sets and class lists of a size that nobody would draw by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image

from odinw_bench.datasets.registry import load_suite
from odinw_bench.runs.spec import OFFICIAL_SEEDS, OFFICIAL_SHOTS
from tests.report import made

MODES = ("prompt", "prompt+linear", "linear", "language", "language+linear", "full")


def write_records(results: Path, count: int) -> int:
    """So many records: models x tasks x modes x shots x seeds, metrics drawn; returns how many."""
    draw = random.Random(3)
    tasks = load_suite("odinw13")
    written = 0
    model = 0
    while written < count:
        model += 1
        for task in tasks:
            names = [entry.name for entry in task.classes]
            for mode in MODES:
                for shots in OFFICIAL_SHOTS[1:]:
                    for seed in OFFICIAL_SEEDS:
                        if written == count:
                            return written
                        said = made.spec(task.name, f"model-{model:02}", mode, shots, seed, "odinw13")
                        metrics = made.metrics(draw.uniform(20, 70), **{name: draw.uniform(0, 90) for name in names})
                        made.write(results, made.record(said, metrics))
                        written += 1
    return written


def write_images(folder: Path, count: int) -> Path:
    """A data set with ``count`` training pictures, all different (equal ones would be refused as leaks), all small."""
    for split, number in (("train", count), ("valid", 10), ("test", 10)):
        place = folder / split
        place.mkdir(parents=True)
        images, boxes = [], []
        for image in range(number):
            shade = (image % 251, image // 251 % 251, 40 + 60 * (split == "test") + 30 * (split == "valid"))
            Image.new("RGB", (24, 16), shade).save(place / f"{image:06}.png", compress_level=1)
            images.append({"id": image, "file_name": f"{image:06}.png", "width": 24, "height": 16})
            boxes.append({"id": image, "image_id": image, "category_id": 1 + image % 3, "bbox": [2, 2, 9, 9]})
        categories = [{"id": number, "name": f"thing {number}"} for number in (1, 2, 3)]
        content = {"images": images, "annotations": boxes, "categories": categories}
        (place / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


def write_classes(folder: Path, count: int) -> Path:
    """A data set of three pictures a split and very many classes, of which few are in the pictures."""
    draw = random.Random(3)
    categories = [{"id": number, "name": f"{_word(draw)} {_word(draw)} {number}"} for number in range(1, count + 1)]
    for shade, split in enumerate(("train", "valid", "test")):
        place = folder / split
        place.mkdir(parents=True)
        images, boxes = [], []
        for image in range(3):
            Image.new("RGB", (120, 80), (40 * image, 60 * shade, 90)).save(place / f"{image}.jpg")
            images.append({"id": image, "file_name": f"{image}.jpg", "width": 120, "height": 80})
            for place_of_box in range(4):
                box = [10 + 20 * place_of_box, 10, 30, 30]
                category = draw.randint(1, count)
                boxes.append({"id": len(boxes), "image_id": image, "category_id": category, "bbox": box})
        content = {"images": images, "annotations": boxes, "categories": categories}
        (place / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


def _word(draw: random.Random) -> str:
    return "".join(draw.choice(pair) for pair in ("bcdfglmnprst", "aeiou", "bcdfglmnprst", "aeiou"))
