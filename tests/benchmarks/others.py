"""Ratios beside those of the detectors: another detector's time, evaluation, start of the program, report.

What starts the program gives CPU seconds of the child, user and system; the others seconds of the clock.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from glip_core import Prompt
from odinw_bench.engine.predict import autocast
from odinw_bench.metrics import coco, fast
from odinw_bench.profiling.measure import CLASSES
from tests.benchmarks.cases import DEVICE, SIZE, Case, detector_of, image
from tests.load import made

BERT_WORDS = 30_522


@lru_cache(maxsize=1)
def grounding_dino(*, small: bool = False) -> Any:
    """``grounding-dino-t`` of transformers with random weights; ``small``: the least that runs, to try the code."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    swin: dict[str, Any] = {"model_type": "swin", "window_size": 7, "image_size": 224, "embed_dim": 96}
    swin |= {"depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "out_indices": [2, 3, 4]}
    others: dict[str, Any] = {}
    if small:
        swin |= {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]}
        text = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        others = {"text_config": text | {"intermediate_size": 16}, "encoder_layers": 2, "decoder_layers": 2}
        others |= {"d_model": 32, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_queries": 20}
    torch.manual_seed(0)
    config = GroundingDinoConfig(backbone_config=swin, **others)
    return GroundingDinoForObjectDetection(config).to(DEVICE).eval()


def detect_by_grounding_dino(precision: str = "fp32", *, small: bool = False) -> Case:
    """One image of 800x1088 with the same seven classes through transformers' network, its text included."""
    network, pixels = grounding_dino(small=small), image()[..., : 128 if small else None, : 128 if small else None]
    ids = _word_pieces("glip-nano" if small else "glip-t")

    @torch.no_grad()
    def work() -> object:
        with autocast(DEVICE, precision):
            return network(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    return work


def _word_pieces(model: str) -> torch.Tensor:
    """The caption's tokens as GLIP-T reads it: both networks read BERT's word pieces."""
    ids = detector_of(model).language.tokenize(Prompt.from_classes(CLASSES)).ids  # type: ignore[union-attr]
    return torch.tensor([[word % BERT_WORDS for word in ids]], device=DEVICE)


def evaluation(images: int, *, quick: bool) -> Case:
    """COCO's AP of 100 random detections in each image, 20 classes: by pycocotools, or hotcoco where installed."""
    draw = random.Random(3)

    def box() -> list[float]:
        return [draw.uniform(0, 500), draw.uniform(0, 400), draw.uniform(5, 140), draw.uniform(5, 80)]

    numbers = range(1, images + 1)
    truth = [{"image_id": n, "category_id": draw.randint(1, 20), "bbox": box()} for n in numbers for _ in range(7)]
    boxes = [
        {**entry, "id": place, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
        for place, entry in enumerate(truth, start=1)
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 640, "height": 480} for n in numbers],
        "annotations": boxes,
        "categories": [{"id": n, "name": f"class {n}"} for n in range(1, 21)],
    }
    found = [
        {"image_id": n, "category_id": draw.randint(1, 20), "bbox": box(), "score": draw.random()}
        for n in numbers
        for _ in range(100)
    ]
    data, results = coco.check_pair(content, found)
    if quick:
        return lambda: fast.accumulated(data, results, 100)

    def reference() -> object:
        before = os.environ.get(fast.VARIABLE)
        os.environ[fast.VARIABLE] = fast.REFERENCE
        try:
            return coco._accumulated(data, results, 100)
        finally:
            os.environ.pop(fast.VARIABLE) if before is None else os.environ.update({fast.VARIABLE: before})

    return reference


def program(*arguments: object) -> float:
    """CPU seconds, user and system, of one start of the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "odinw_bench", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_seconds(count: int, runs: int, say: Callable[[str, list[float]], None]) -> None:
    """The program's own: ``predict`` of one photo, a report of ``count`` records."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        Image.effect_noise((SIZE[1], SIZE[0]), 80).convert("RGB").save(folder / "photo.png")
        made.write_records(folder / "records", count)
        predict = ("predict", folder / "photo.png", "--prompt", "fish", "--model", "glip-nano", "--out", folder / "out")
        report = ("report", "--results", folder / "records", "--out", folder / "report")
        say("predict, one photo, glip-nano, whole program", [program(*predict) for _ in range(runs)])
        say(f"report of {count:,} records, whole program", [program(*report) for _ in range(runs)])
