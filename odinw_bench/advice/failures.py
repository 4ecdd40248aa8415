"""Where a way fails: classes, sizes of things, and the pictures in which it does worst."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from odinw_bench.advice.folds import Labelled
from odinw_bench.metrics.coco import check_pair, evaluate, match

EXAMPLES = 4
_LONGEST = 480  # pixels of an embedded picture
_SIZES = {"APs": "small (below 32² pixels)", "APm": "medium", "APl": "large (above 96² pixels)"}


def failures(labelled: Labelled, truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is found badly.

    Args:
        labelled: whose images they are.
        truth: COCO annotations of the tested images.
        predictions: COCO results on them.

    Returns:
        ``classes``: name, AP (percent, None without boxes) and boxes, worst first; ``sizes``: size and AP;
        ``examples``: the worst pictures, with ``image`` (the user's file name), ``missed``, ``wrong``, ``size``,
        ``truth`` and ``found`` boxes (x, y, width, height, right), and the ``score`` from which detections count.
    """
    metrics = evaluate(truth, list(predictions), official_ids=False)
    names = {category["id"]: category["name"] for category in truth["categories"]}
    counts = {key: sum(box["category_id"] == key for box in truth["annotations"]) for key in names}
    classes = [
        {"class": names[key], "AP": metrics["per_class"].get(str(key)), "boxes": counts[key]}
        for key in sorted(
            names, key=lambda key: (metrics["per_class"].get(str(key)) is None, metrics["per_class"].get(str(key)) or 0)
        )
    ]
    sizes = [{"size": words, "AP": metrics[name]} for name, words in _SIZES.items() if metrics[name] is not None]
    return {"classes": classes, "sizes": sizes, "examples": _examples(labelled, truth, predictions)}


def _examples(
    labelled: Labelled, truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    annotations, results = check_pair(truth, predictions)
    right: dict[Any, bool] = {}
    ignored: set[Any] = set()
    matched_by: dict[Any, Any] = {}
    evaluator = match(annotations, results)
    areas, images = len(evaluator.params.areaRng), len(evaluator.params.imgIds)
    for place, entry in enumerate(evaluator.evalImgs):
        if entry is None or place // images % areas:
            continue
        right |= {found: bool(by > 0) for found, by in zip(entry["dtIds"], entry["dtMatches"][0], strict=True)}
        ignored |= {box for box, no in zip(entry["gtIds"], entry["gtIgnore"], strict=True) if no}
        matched_by |= {box: int(by) for box, by in zip(entry["gtIds"], entry["gtMatches"][0], strict=True) if by > 0}
    score = _threshold(results, right, len(annotations["annotations"]))
    kept = {row["id"]: row for row in results if row["score"] >= score and row["id"] in right}
    found = []
    for image in annotations["images"]:
        boxes = [
            box for box in annotations["annotations"] if box["image_id"] == image["id"] and box["id"] not in ignored
        ]
        missed = [box for box in boxes if matched_by.get(box["id"]) not in kept]
        wrong = [row for row in kept.values() if row["image_id"] == image["id"] and not right[row["id"]]]
        found.append((len(missed) + len(wrong), image, boxes, missed, wrong))
    found.sort(key=lambda one: (-one[0], one[1]["id"]))
    return [
        {
            "image": labelled.names[image["id"]],
            "file": image["file_name"],
            "size": [image["width"], image["height"]],
            "missed": len(missed),
            "wrong": len(wrong),
            "score": score,
            "truth": [[*box["bbox"], box not in missed] for box in boxes],
            "found": [[*row["bbox"], right[row["id"]]] for row in kept.values() if row["image_id"] == image["id"]],
        }
        for errors, image, boxes, missed, wrong in found[:EXAMPLES]
        if errors
    ]


def _threshold(results: Sequence[Mapping[str, Any]], right: Mapping[Any, bool], boxes: int) -> float:
    """The score from which on detections count, so that F1 over all images is highest."""
    rows = sorted(((row["score"], right[row["id"]]) for row in results if row["id"] in right), reverse=True)
    if not rows:
        return 0.0
    f1 = 2 * np.cumsum([hit for _, hit in rows]) / (np.arange(1, len(rows) + 1) + boxes)
    return float(rows[int(np.argmax(f1))][0])


def data_uri(labelled: Labelled, file: str) -> str:
    """A small WebP of one of the pictures inside a URI."""
    from glip_core.images import load_image

    picture = load_image(labelled.pictures / file)
    picture.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")
