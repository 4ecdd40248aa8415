"""Detections of a whole split."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch

from glip_core import Detections, Prompt
from glip_core.preprocess import scale_boxes
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.data import ImageRequest
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext
from odinw_bench.engine.features import FrozenPart
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.reading import read
from odinw_bench.engine.unfinished import UnfinishedTest
from odinw_bench.models import AnyPrompt, Model, ModelInput

_Item = TypeVar("_Item")


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The precision of a run as a context: ``fp32`` changes nothing, ``bf16`` and ``fp16`` are autocast."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


@torch.no_grad()
def detect_split(
    model: Model,
    prompt: AnyPrompt,
    split: Split,
    *,
    precision: str = "fp32",
    frozen: FrozenPart | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
    micro_batching: MicroBatching | None = None,
    on_images: Callable[[int], None] | None = None,
    on_wait: Callable[[float], None] | None = None,
    unfinished: UnfinishedTest | None = None,
) -> list[dict[str, Any]]:
    """Detections in every image of a split, as COCO results in the pixels of the annotations.

    Args:
        model: in any state; it is put into evaluation mode.
        prompt: the task's classes, in the order of ``split.category_ids``; encoded already where it is used for
            several splits, else it is encoded once here.
        split: the images.
        precision: see :func:`autocast`.
        frozen: remembers what stays the same from call to call.
        distributed: the processes that share the work; each gets all detections.
        micro_batching: how many images go through together where memory is short.
        on_images: called with the number of images after every batch.
        on_wait: called with the seconds for which the model waited for a batch's images.
        unfinished: keeps what this process found, and has what an earlier one did, whose images are not done again.

    Raises:
        InputError: an image cannot be read.
        MemoryExhaustedError: not even one image at a time fits into memory.
    """
    micro_batching = micro_batching or MicroBatching()
    if distributed.size > 1:
        return _detect_together(
            model, prompt, split, precision, frozen, distributed, micro_batching, on_images, on_wait, unfinished
        )
    model.eval()
    unfinished = unfinished or UnfinishedTest()
    split, kept = unfinished.begin(split)
    results: list[dict[str, Any]] = kept or []
    with autocast(torch.device(model.device), precision):
        if isinstance(prompt, Prompt):
            prompt = model.encode(prompt)
        for batch in timed(batches(model, split, frozen), on_wait):
            inputs = [one for _, one in batch]
            found = micro_batching.run(len(inputs), partial(_detect, model, prompt, inputs, micro_batching))
            for (image_id, one), detections in zip(batch, found, strict=True):
                width, height = split.size(image_id)
                boxes = scale_boxes(detections.boxes, one.hw, (height, width))
                results += replace(detections, boxes=boxes).to_coco(image_id, split.category_ids)
            unfinished.keep(len(batch), results.copy)
            if on_images:
                on_images(len(batch))
    return results


def _detect(
    model: Model, prompt: AnyPrompt, inputs: Sequence[ModelInput], micro_batching: MicroBatching
) -> list[Detections]:
    """Detections of images that may share a pass."""
    return [one for part in micro_batching.split(inputs) for one in model.detect_batch(part, prompt)]


def _detect_together(
    model: Model,
    prompt: AnyPrompt,
    split: Split,
    precision: str,
    frozen: FrozenPart | None,
    distributed: DistributedContext,
    micro_batching: MicroBatching,
    on_images: Callable[[int], None] | None,
    on_wait: Callable[[float], None] | None,
    unfinished: UnfinishedTest | None,
) -> list[dict[str, Any]]:
    """Each process takes its share of the images; the order afterwards is that of one process."""
    share = split.subset(distributed.shard(split.image_ids))
    found = detect_split(
        model,
        prompt,
        share,
        precision=precision,
        frozen=frozen,
        micro_batching=micro_batching,
        on_images=on_images,
        on_wait=on_wait,
        unfinished=unfinished,
    )
    return gathered(found, split, distributed)


def gathered(found: list[dict[str, Any]], split: Split, distributed: DistributedContext) -> list[dict[str, Any]]:
    """What all processes found, in the order of one process.

    Args:
        found: by this process, each with the ``image_id`` that it is of.
        split: all images.
        distributed: the processes.
    """
    place = {image_id: position for position, image_id in enumerate(split.image_ids)}
    return sorted(distributed.all_gather(found), key=lambda entry: place[entry["image_id"]])


def batches(model: Model, split: Split, frozen: FrozenPart | None = None) -> Iterator[list[tuple[ImageId, ModelInput]]]:
    """Neighbouring images that may share a pass, at most the model's ``batch_size`` together."""
    batch: list[tuple[ImageId, ModelInput]] = []
    for request, one in read(split, map(ImageRequest, split.image_ids), model, frozen):
        if batch and (batch[0][1].batch_key != one.batch_key or len(batch) == model.batch_size):
            yield batch
            batch = []
        batch.append((request.image_id, one))
    if batch:
        yield batch


def timed(items: Iterator[_Item], on_wait: Callable[[float], None] | None) -> Iterator[_Item]:
    """The same items; ``on_wait`` is called with the seconds that each was waited for."""
    while True:
        started = time.perf_counter()
        try:
            item = next(items)
        except StopIteration:
            return
        if on_wait:
            on_wait(time.perf_counter() - started)
        yield item
