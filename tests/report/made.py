"""Records made up for tests: detections are the ground truth of drawn tasks, disturbed; metrics are the evaluator's."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from odinw_bench import evaluate, load_task
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.protocol_files import nano_protocol, official_protocol
from odinw_bench.runs.record import write_record
from odinw_bench.utils.io import canonical_json, sha256_bytes

TUNED = {"prompt": 2_000, "linear": 40_000, "full": 8_000_000}


@functools.cache
def drawn(dataset: str) -> Split:
    """The test split of a drawn task."""
    return open_split(load_task(dataset, "mini"), "test")


def detections(split: Split, quality: float, seed: int) -> list[dict]:
    """Some of the true boxes, moved, a few of them under the wrong name: the more quality, the fewer and the less."""
    rng = np.random.default_rng(seed)
    ids = split.category_ids
    found = []
    for box in split.annotations["annotations"]:
        if rng.random() > quality + 0.2:
            continue
        x, y, w, h = box["bbox"]
        shift = rng.normal(0, 0.12 * (1 - quality), 4) * [w, h, w, h]
        category = box["category_id"] if rng.random() < quality else int(rng.choice(ids))
        moved = [x + shift[0], y + shift[1], max(2, w + shift[2]), max(2, h + shift[3])]
        score = float(np.clip(quality + rng.normal(0, 0.2), 0.01, 0.99))
        found.append({"image_id": box["image_id"], "category_id": category, "bbox": moved, "score": score})
    return found


def spec(dataset="packages", model="glip-nano", mode="prompt", shots=5, seed=3, suite="mini", **changes) -> dict:
    """A spec as a record holds it."""
    untuned = mode in ("zero-shot", "manual")
    return {
        "dataset": dataset,
        "model": model,
        "suite": suite,
        "mode": mode,
        "shots": 0 if untuned else shots,
        "seed": seed,
        "protocol": (nano_protocol if "nano" in model else official_protocol)(0 if untuned else shots),
        "weights": None,
        "attributes": None,
        "overrides": {},
        "precision": "fp32",
        "eval_split": "test",
    } | changes


def record(spec: dict, metrics: dict | None = None, *, error: str | None = None, sha256: str = "", **changes) -> dict:
    """A record of the runner's form."""
    tuned = TUNED.get(spec["mode"], 0)
    cost = {
        "tune_seconds": 3.0 * (1 + tuned**0.25) if tuned else 0.0,
        "tune_steps": 10 if tuned else 0,
        "best_epoch": 2 if tuned else None,
        "validation_AP": 50.0 if tuned else None,
        "test_seconds": 2.0,
        "images_per_second": 20.0,
        "peak_memory_bytes": 400_000_000 + 60 * tuned,
        "tuned_parameters": tuned,
        "total_parameters": 8_000_000,
    }
    return {
        "schema": 1,
        "spec": spec,
        "digest": sha256_bytes(canonical_json(spec)),
        "status": "failed" if error else "done",
        "metrics": None if error else metrics,
        "cost": None if error else cost,
        "data": {
            "train_images": 20,
            "validation_images": 24,
            "test_images": 40,
            "few_shot": "rule",
            "annotations_sha256": {"test": sha256} if sha256 else {},
        },
        "protocol": {
            "name": spec["protocol"],
            "hyperparameters": {"lr": 0.1, "epochs": 8} if tuned else None,
            "validation_split": "val" if tuned else None,
            "eval_split": "test",
        },
        "weights_sha256": sha256_bytes(spec["model"].encode()),
        "environment": {
            "python": "3.11.7",
            "torch": "2.8.0",
            "device": "cpu",
            "device_name": "a processor",
            "threads": 1,
            "odinw_bench": "0.1.0",
            "git_revision": "0123456789ab",
        },
        "started": "2025-01-01T00:00:00+00:00",
        "finished": "2025-01-01T00:01:00+00:00",
        "error": error,
    } | changes


def write(results: Path, made: dict, predictions: list[dict] | None = None) -> Path:
    """Write a record where the runner would."""
    said = made["spec"]
    name = f"{said['mode']}-{said['shots']}shot-seed{said['seed']}-{made['digest'][:8]}"
    folder = results / said["suite"] / said["model"] / said["dataset"] / name
    folder.mkdir(parents=True)
    write_record(folder, made)
    if predictions is not None:
        (folder / "predictions.json").write_text(json.dumps(predictions))
    return folder


def write_drawn(results: Path, quality: float, **said) -> Path:
    """A record on a drawn task, with predictions and their true metrics."""
    one = spec(**said)
    split = drawn(one["dataset"])
    seed = int(sha256_bytes(canonical_json(one))[:8], 16)
    predictions = detections(split, quality, seed)
    content = record(one, evaluate(split.annotations, predictions), sha256=split.sha256)
    content["data"]["classes"] = split.classes  # whose ids are the keys of AP per class
    return write(results, content, predictions)


def metrics(ap: float, **per_class: float) -> dict:
    """Metrics with an AP."""
    return {"AP": ap, "AP50": min(100.0, ap * 1.4), "AP75": ap, "APs": None, "APm": ap, "APl": None, "AR100": ap} | {
        "per_class": per_class or {"package": ap}
    }
