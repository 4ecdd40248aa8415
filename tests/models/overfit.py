"""Training a tiny detector on ten images of the miniature until it knows them by heart."""

from __future__ import annotations

from pathlib import Path

import torch

from glip_core import Prompt
from glip_core.modes import TuningMode
from odinw_bench import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.data import ImageRequest, prepare_image, request_targets
from odinw_bench.engine.predict import detect_split
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models import find_model


def ten_images():
    """The task, and ten of its training images."""
    task = load_task("raccoon", "mini")
    split = open_split(task, "train")
    return task, split.subset(split.trainable_ids()[:10])


def measure_statistics(folder: Path) -> None:
    """Give a detector's batch normalisation the statistics of the ten images, as pre-training gives them.

    They are no parameters, and tuning keeps them.
    """
    model = find_model(f"hf:{folder}").load(None, "cpu")
    _, split = ten_images()
    pixels = torch.cat([prepare_image(split, ImageRequest(image_id), model).pixels for image_id in split.image_ids])
    for module in model.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over passes, of which there is one
            module.reset_running_stats()
    model.network.train()
    with torch.no_grad():
        model.network(pixel_values=pixels)
    model.network.save_pretrained(folder)


def learn_by_heart(folder: Path, mode: TuningMode, *, steps: int, rate: float = 2e-3) -> float:
    """AP on the ten training images: the first that is above 80, or the one after all steps."""
    task, split = ten_images()
    prompt = Prompt.from_classes([one.name for one in task.classes])
    model = find_model(f"hf:{folder}").load(None, "cpu", classes=len(prompt))
    trained = list(model.trainable(mode, prompt).values())
    encoded = model.encode_frozen(mode, prompt)
    groups: dict[object, list] = {}
    for image_id in split.image_ids:
        request = ImageRequest(image_id)
        one = prepare_image(split, request, model)
        one = model.features(mode, one, encoded) if model.can_cache(mode) else one
        targets = request_targets(split, request, one.hw, torch.device("cpu"))
        groups.setdefault(one.batch_key, []).append((one, targets))
    boxes = {"boxes": float(sum(len(targets.labels) for group in groups.values() for _, targets in group))}
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    torch.manual_seed(0)
    ap = 0.0
    for step in range(1, steps + 1):
        model.train()
        optimiser.zero_grad()
        for group in groups.values():
            losses = model.losses([one for one, _ in group], [targets for _, targets in group], encoded, boxes)
            torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            model.eval()
            ap = evaluate(split.annotations, detect_split(model, prompt, split), official_ids=False)["AP"]
            if ap > 80:
                break
    return ap
