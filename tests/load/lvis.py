"""What LVIS costs: ``python -m tests.load.lvis [--images 300] [--models | --stream]``.

1,203 made-up classes, so many made-up small images, glip-nano: peak memory of the whole run, seconds an image, and
against 31 separate runs, of which a few images are timed. With ``--models`` instead GLIP-T with random weights on an
image of 800x1088, without fusion and with; with ``--stream`` the memory of what is kept alone.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from glip_core import Prompt
from glip_core.builder import assemble
from glip_core.config import get_config
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.distributed import SINGLE_PROCESS
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.evaluation.base import Conditions
from odinw_bench.evaluation.lvis import LvisEvaluation
from odinw_bench.metrics.lvis import measure as measure_kept
from odinw_bench.metrics.lvis_stream import FIXED, PLAIN, LvisStream
from odinw_bench.metrics.lvis_truth import LvisTruth
from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES
from odinw_bench.mini.others import render_other
from odinw_bench.models import find_model
from odinw_bench.models.glip import preset

CLASSES, CHUNK, CHUNKS = 1_203, 40, 31
SEPARATE_IMAGES = 2
"""Images that the separate runs are timed on; the others are taken to be like them."""


def names() -> list[str]:
    """So many different names of two or three words."""
    words = [*COLOURS, *TEXTURES, *SHAPES]
    draw = random.Random(3)
    found: dict[str, None] = {}
    while len(found) < CLASSES:
        found[" ".join(draw.sample(words, draw.choice((2, 3))))] = None
    return list(found)


def write(root: Path, count: int) -> None:
    """An LVIS-shaped folder of so many images, each under several names."""
    drawn, load = render_other("mini-lvis", "test")
    folder = root / "coco/val2017"
    folder.mkdir(parents=True)
    images, boxes, draw = [], [], random.Random(3)
    by_image: dict[int, list[dict]] = {}
    for box in drawn["annotations"]:
        by_image.setdefault(box["image_id"], []).append(box)
    for number in range(1, count + 1):
        like = drawn["images"][number % len(drawn["images"])]
        name = f"{number:06}.png"
        load(like["file_name"]).save(folder / name, compress_level=1)
        negative = draw.sample(range(1, CLASSES + 1), 12)
        images.append(
            {"id": number, "coco_url": f"http://made.up/val2017/{name}", "width": 160, "height": 160}
            | {"neg_category_ids": negative, "not_exhaustive_category_ids": []}
        )
        for box in by_image.get(like["id"], []):
            ids = {"id": len(boxes) + 1, "image_id": number, "category_id": draw.randint(1, CLASSES)}
            boxes.append({**box, **ids})
    categories = [
        {"id": number, "name": name, "frequency": "rcf"[number % 3]} for number, name in enumerate(names(), start=1)
    ]
    place = root / "coco/annotations/lvis_od_val.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def seconds_of(work: Callable[[], object], times: int = 2) -> float:
    """The least of so many tries, in seconds of this process on a core: others may use the machine."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def memory() -> float:
    """The most that this process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def whole_run(count: int) -> None:
    """The run's detections and metrics, and what separate runs would take."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write(root, count)
        split = open_split(load_task("lvis", "lvis"), "val", root)
        model = find_model("glip-nano").load(None, "cpu")
        prompt = Prompt.from_classes(names())
        conditions = Conditions("fp32", SINGLE_PROCESS, MicroBatching())
        evaluation, task = LvisEvaluation(), load_task("lvis", "lvis")

        def together() -> None:
            evaluation.score(task, split, evaluation.detect(model, task, prompt, split, conditions))

        def apart() -> None:
            with torch.no_grad(), model.keeping(300):
                for first in range(0, CLASSES, CHUNK):
                    part = model.encode(prompt.part(first, min(first + CHUNK, CLASSES)))
                    for image_id in split.image_ids[:SEPARATE_IMAGES]:
                        model.detect_batch([model.prepare(split.image(image_id))], part)

        shared = seconds_of(together, 1) / count
        most = memory()
        separate = seconds_of(apart, 1) / SEPARATE_IMAGES
        print(f"| {count} images, 1,203 classes, glip-nano | {most:.2f} | {shared:.2f} | {separate:.2f} |", flush=True)


@torch.no_grad()
def large_model(*, fusion: bool) -> None:
    """GLIP-T with random weights: an image's own part, and a caption's, added up for 31 captions."""
    config = get_config("glip-t")
    torch.manual_seed(0)
    network = assemble(config if fusion else replace(config, fusion=None)).eval()
    model = preset("glip-t")(network)
    picture = Image.effect_noise((1088, 800), 80).convert("RGB")
    one = model.prepare(picture)
    part = model.encode(Prompt.from_classes(names()[:CHUNK]))
    apart = seconds_of(lambda: model.detect_batch([one], part))
    features = model.encode_images([one])
    once = seconds_of(lambda: model.encode_images([one]))
    caption = seconds_of(lambda: model.detect_batch(features, part))
    together = once + CHUNKS * caption
    what = "with fusion" if fusion else "without fusion"
    print(
        f"| GLIP-T {what} | {once:.2f} | {caption:.2f} | {apart:.2f} | {together:.1f} | {CHUNKS * apart:.1f} | "
        f"{CHUNKS * apart / together:.1f} |",
        flush=True,
    )


def stream_of(count: int, *, each: int = 3_000) -> None:
    """Random detections of so many images kept and scored, without a model: what LVIS' val needs beside it."""
    rng = np.random.default_rng(3)
    images = [
        {"id": number, "neg_category_ids": rng.choice(CLASSES, 12, replace=False) + 1} for number in range(1, count + 1)
    ]
    boxes = [
        {"id": number, "image_id": int(rng.integers(1, count + 1)), "category_id": int(rng.integers(1, CLASSES + 1))}
        | {"bbox": [10.0, 10.0, 50.0, 50.0]}
        for number in range(1, 12 * count + 1)
    ]
    for image in images:
        image["neg_category_ids"] = image["neg_category_ids"].tolist()
    categories = [{"id": number, "frequency": "rcf"[number % 3]} for number in range(1, CLASSES + 1)]
    truth = LvisTruth({"images": images, "annotations": boxes, "categories": categories})
    stream = LvisStream(truth.images, truth.categories, truth)
    started = time.process_time()
    for image in truth.images:
        corners = rng.random((each, 4), np.float32) * 100
        stream.add(image, corners, rng.random(each, np.float32), rng.integers(0, CLASSES, each))
    kept = stream.result([stream.state()])
    seen = time.process_time() - started
    started = time.process_time()
    measure_kept(truth, kept.table(FIXED), limit=-1)
    measure_kept(truth, kept.table(PLAIN), limit=300)
    scored = time.process_time() - started
    print(f"| {count * each:,} in {count:,} images | {len(kept):,} | {memory():.2f} | {seen:.0f} | {scored:.0f} |")


def main() -> None:
    """Print a table."""
    given = argparse.ArgumentParser()
    given.add_argument("--images", type=int, default=2_000)
    given.add_argument("--models", action="store_true")
    given.add_argument("--stream", action="store_true")
    options = given.parse_args()
    if options.stream:
        print("| detections | kept | memory, GB | s to keep | s to score |\n|---|---|---|---|---|")
        stream_of(options.images)
    elif options.models:
        print("| model | image, s | caption, s | separate pass, s | 31 shared, s | 31 separate, s | times faster |")
        print("|---|---|---|---|---|---|---|")
        large_model(fusion=False)
        large_model(fusion=True)
    else:
        print("| what | memory, GB | s an image | s an image, 31 separate runs |\n|---|---|---|---|")
        whole_run(options.images)


if __name__ == "__main__":
    main()
