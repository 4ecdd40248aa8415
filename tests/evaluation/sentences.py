"""Made-up folders in the shape of Flickr30k Entities and RefCOCO, out of the oracle's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from odinw_bench.datasets.entities import read_entities


def picture(path: Path, size: tuple[int, int], seed: int) -> None:
    """Coarse coloured noise: something to look at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(path)


def entities_folder(root: Path, content: dict[str, Any], subset: str = "test", images: int | None = None) -> Path:
    """The oracle's raw files with pictures, under a data root; returns the folder of the raw files."""
    raw = root / "flickr30k" / "flickr30k"
    names = [str(name) for name in content["images_in_subset_file_order"]][:images]
    for kind in ("Annotations", "Sentences"):
        (raw / kind).mkdir(parents=True, exist_ok=True)
    (raw / f"{subset}.txt").write_text("\n".join(names))
    for name in names:
        (raw / "Annotations" / f"{name}.xml").write_text(content["files"][name]["xml"])
        (raw / "Sentences" / f"{name}.txt").write_text(content["files"][name]["sentences"])
        picture(root / "flickr30k" / "flickr30k_images" / subset / f"{name}.jpg", (333, 375), int(name) % 1000)
    return raw


def mdetr_flickr(raw: Path, out: Path, subset: str = "test") -> None:
    """The same sentences and boxes in MDETR's form, with its sizes as texts."""
    images, boxes = [], []
    for number, image in read_entities(raw, subset).items():
        for place, sentence in enumerate(image.sentences):
            spans = []
            for phrase in image.grounded(place):
                start = len(" ".join([*sentence.text.split()[: phrase.first_word], ""]))
                spans.append([start, start + len(phrase.text)])
                for x1, y1, x2, y2 in image.boxes[phrase.entity]:
                    boxes.append(
                        {
                            "id": len(boxes),
                            "image_id": len(images),
                            "category_id": 1,
                            "bbox": [x1, y1, x2 - x1, y2 - y1],
                            "tokens_positive": [spans[-1]],
                        }
                    )
            images.append(
                {
                    "id": len(images),
                    "file_name": f"{number}.jpg",
                    "width": "333",
                    "height": "375",
                    "caption": sentence.text,
                    "sentence_id": place,
                    "original_img_id": number,
                    "tokens_positive_eval": [[span] for span in spans],
                }
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"images": images, "annotations": boxes, "categories": []}))


def refexp_folder(root: Path, case: dict[str, Any], name: str, split: str) -> list[dict[str, Any]]:
    """The oracle's expressions of one data set in MDETR's form, two to a picture; returns their predictions."""
    numbers = [image["id"] for image in case["images"] if image["dataset_name"] == name]
    box_of = {box["image_id"]: box["bbox"] for box in case["annotations_xywh"]}
    images, boxes = [], []
    for place, number in enumerate(numbers):
        file_name = f"COCO_train2014_{place // 2:012d}.jpg"
        words = {"id": number, "original_id": place // 2, "caption": "a man left of a dog", "dataset_name": name}
        images.append({**words, "file_name": file_name, "width": 640, "height": 480, "tokens_negative": []})
        boxes.append(
            {"id": place, "image_id": number, "category_id": 1, "bbox": box_of[number], "tokens_positive": [[0, 5]]}
        )
        picture(root / "refcoco" / "train2014" / file_name, (640, 480), place // 2)
    path = root / "mdetr_annotations" / f"finetune_{name}_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": []}))
    return [{"expression_id": number, **case["predictions_xyxy"][str(number)]} for number in numbers]
