"""Detections of a whole split."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch

from glip_core import Detections, Detector, EncodedPrompt, Prompt
from glip_core.preprocess import scale_boxes
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.data import ImageRequest, PreparedImage
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext
from odinw_bench.engine.features import Features, FrozenPart
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.reading import read
from odinw_bench.metrics.coco import detections_to_coco
from odinw_bench.models import Adapter

_Item = TypeVar("_Item")
BATCH = 8
"""Images of one padded size that are run together."""


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The precision of a run as a context: ``fp32`` changes nothing, ``bf16`` and ``fp16`` are autocast."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


@torch.no_grad()
def detect_split(
    detector: Detector | Adapter,
    prompt: Prompt | EncodedPrompt,
    split: Split,
    *,
    precision: str = "fp32",
    frozen: FrozenPart | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
    micro_batching: MicroBatching | None = None,
    on_images: Callable[[int], None] | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> list[dict[str, Any]]:
    """Detections in every image of a split, as COCO results in the pixels of the annotations.

    Args:
        detector: in any state; it is put into evaluation mode. Or a detector of others.
        prompt: the task's classes, in the order of ``split.category_ids``; encoded already where it is used for
            several splits, else it is encoded once here.
        split: the images.
        precision: see :func:`autocast`.
        frozen: remembers what stays the same from call to call.
        distributed: the processes that share the work; each gets all detections.
        micro_batching: how many images go through together where memory is short.
        on_images: told the number of images after every batch.
        on_wait: told the seconds for which the model waited for a batch's images.

    Raises:
        InputError: an image cannot be read.
        MemoryExhaustedError: not even one image at a time fits into memory.
    """
    micro_batching = micro_batching or MicroBatching()
    if distributed.size > 1:
        return _detect_together(
            detector, prompt, split, precision, frozen, distributed, micro_batching, on_images, on_wait
        )
    if isinstance(detector, Adapter):
        assert isinstance(prompt, Prompt)  # only our own detectors encode prompts
        return _detect_by_adapter(detector, prompt, split, precision, on_images, on_wait)
    detector.eval()
    results: list[dict[str, Any]] = []
    with autocast(detector.device, precision):
        if isinstance(prompt, Prompt):
            prompt = detector.encode(prompt)
        for batch in _timed(_batches(detector, split, frozen), on_wait):
            items = [item for _, item in batch]
            found = micro_batching.run(len(items), partial(_detect, detector, prompt, items, frozen, micro_batching))
            for (image_id, item), detections in zip(batch, found, strict=True):
                width, height = split.size(image_id)
                boxes = scale_boxes(detections.boxes, item.hw, (height, width))
                results += detections_to_coco(image_id, boxes, detections.scores, detections.labels, split.category_ids)
            if on_images:
                on_images(len(batch))
    return results


def _detect(
    detector: Detector,
    prompt: EncodedPrompt,
    items: Sequence[PreparedImage | Features],
    frozen: FrozenPart | None,
    micro_batching: MicroBatching,
) -> list[Detections]:
    """Detections of images of one padded size."""
    found: list[Detections] = []
    for part in micro_batching.split(items):
        sizes = [item.hw for item in part]
        if frozen is None:
            pixels = torch.cat([item.on(detector.device) for item in part if isinstance(item, PreparedImage)])
            found += detector.detect(pixels, sizes, prompt)
        else:
            raw = frozen.outputs([item for item in part if isinstance(item, Features)], prompt)
            found += detector.detections_from_raw(raw, sizes, prompt)
    return found


def _detect_by_adapter(
    detector: Adapter,
    prompt: Prompt,
    split: Split,
    precision: str,
    on_images: Callable[[int], None] | None,
    on_wait: Callable[[float], None] | None,
) -> list[dict[str, Any]]:
    """Image by image, from the photo's own pixels to those of the annotations."""
    results: list[dict[str, Any]] = []
    photos = ((image_id, split.image(image_id)) for image_id in split.image_ids)
    for image_id, photo in _timed(photos, on_wait):
        width, height = split.size(image_id)
        with autocast(torch.device(detector.device), precision):
            found = detector.detect(photo, prompt)
        boxes = scale_boxes(found.boxes, (photo.height, photo.width), (height, width))
        results += detections_to_coco(image_id, boxes, found.scores, found.labels, split.category_ids)
        if on_images:
            on_images(1)
    return results


def _detect_together(
    detector: Detector | Adapter,
    prompt: Prompt | EncodedPrompt,
    split: Split,
    precision: str,
    frozen: FrozenPart | None,
    distributed: DistributedContext,
    micro_batching: MicroBatching,
    on_images: Callable[[int], None] | None,
    on_wait: Callable[[float], None] | None,
) -> list[dict[str, Any]]:
    """Each process takes its share of the images; the order afterwards is that of one process."""
    share = split.subset(distributed.shard(split.image_ids))
    found = detect_split(
        detector,
        prompt,
        share,
        precision=precision,
        frozen=frozen,
        micro_batching=micro_batching,
        on_images=on_images,
        on_wait=on_wait,
    )
    place = {image_id: position for position, image_id in enumerate(split.image_ids)}
    return sorted(distributed.all_gather(found), key=lambda entry: place[entry["image_id"]])


def _batches(
    detector: Detector, split: Split, frozen: FrozenPart | None
) -> Iterator[list[tuple[ImageId, PreparedImage | Features]]]:
    """Neighbouring images of one padded size, at most :data:`BATCH` together."""
    batch: list[tuple[ImageId, PreparedImage | Features]] = []
    for view, item in read(split, map(ImageRequest, split.image_ids), detector, frozen):
        if batch and (batch[0][1].padded_hw != item.padded_hw or len(batch) == BATCH):
            yield batch
            batch = []
        batch.append((view.image_id, item))
    if batch:
        yield batch


def _timed(items: Iterator[_Item], on_wait: Callable[[float], None] | None) -> Iterator[_Item]:
    """The same items; ``on_wait`` is told how long each was waited for."""
    while True:
        started = time.perf_counter()
        try:
            item = next(items)
        except StopIteration:
            return
        if on_wait:
            on_wait(time.perf_counter() - started)
        yield item
