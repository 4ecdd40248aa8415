"""COCO's average precision from its definition, one loop inside the other: nothing shared with pycocotools.

Lin et al., "Microsoft COCO", ECCV 2014, and cocodataset.org/#detection-eval: per class and IoU threshold, detections in
the order of their scores take the free ground truth of largest overlap; precision is made monotone from the right and
read at 101 recalls; classes without ground truth do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

THRESHOLDS = [0.5 + 0.05 * step for step in range(10)]
AREAS = {"AP": (0, 1e10), "APs": (0, 32**2), "APm": (32**2, 96**2), "APl": (96**2, 1e10)}
BEST = 100


def overlap(box: Sequence[float], other: Sequence[float], *, crowd: bool) -> float:
    """Intersection over union; over the detection's own area where the ground truth is a crowd."""
    width = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    height = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    union = box[2] * box[3] + (0 if crowd else other[2] * other[3] - both)
    return both / union if union > 0 else 0.0


def image_marks(
    truth: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], least: float, area: tuple[float, float]
) -> list[tuple[float, bool]]:
    """(score, hit) of the detections of one image that count."""
    counts = [not one["iscrowd"] and area[0] <= one["area"] <= area[1] for one in truth]
    taken = [False] * len(truth)
    marks = []
    for detection in sorted(found, key=lambda one: -one["score"])[:BEST]:
        chosen = None
        for wanted in (True, False):  # what counts comes before what does not
            best = min(least, 1 - 1e-10)
            for place, one in enumerate(truth):
                if counts[place] != wanted or (taken[place] and not one["iscrowd"]):
                    continue
                iou = overlap(detection["bbox"], one["bbox"], crowd=bool(one["iscrowd"]))
                if iou >= best:
                    best, chosen = iou, place
            if chosen is not None:
                break
        if chosen is None:
            width, height = detection["bbox"][2:]
            if area[0] <= width * height <= area[1]:
                marks.append((detection["score"], False))
        else:
            taken[chosen] = True
            if counts[chosen]:
                marks.append((detection["score"], True))
    return marks


def average_precision(marks: Sequence[tuple[float, bool]], positives: int) -> float:
    """Area under the interpolated curve, at recalls 0, 0.01 ... 1."""
    hits, curve = 0, []
    for number, (_, hit) in enumerate(sorted(marks, key=lambda mark: -mark[0]), start=1):
        hits += hit
        curve.append((hits / positives, hits / number))
    total = 0.0
    for step in range(101):
        reached = [precision for recall, precision in curve if recall >= step / 100 - 1e-12]
        total += max(reached, default=0.0)
    return total / 101


def reference_metrics(annotations: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` in percent; None where there is nothing to find."""
    scores: dict[str, list[float]] = defaultdict(list)
    for name, area in AREAS.items():
        for category in annotations["categories"]:
            of_class = [a for a in annotations["annotations"] if a["category_id"] == category["id"]]
            mine = [d for d in found if d["category_id"] == category["id"]]
            positives = sum(not a["iscrowd"] and area[0] <= a["area"] <= area[1] for a in of_class)
            if not positives:
                continue
            for least in THRESHOLDS:
                marks = []
                for image in annotations["images"]:
                    truth = [a for a in of_class if a["image_id"] == image["id"]]
                    marks += image_marks(truth, [d for d in mine if d["image_id"] == image["id"]], least, area)
                value = 100 * average_precision(marks, positives)
                scores[name].append(value)
                if name == "AP":
                    scores[f"AP{round(100 * least)}"].append(value)
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    return {name: sum(scores[name]) / len(scores[name]) if scores[name] else None for name in names}
