"""Detections of a split with more classes than one caption names: chunk by chunk, each image seen once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from glip_core import Detections, EncodedPrompt, Prompt
from glip_core.preprocess import scale_boxes
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.predict import autocast, batches, timed
from odinw_bench.models import AnyPrompt, Model, ModelInput

Take = Callable[[ImageId, Detections], None]
"""Is given each image's detections: boxes in the annotations' pixels, labels of the whole prompt, chunk by chunk."""


@torch.no_grad()
def detect_in_chunks(
    model: Model,
    prompt: Prompt,
    split: Split,
    take: Take,
    *,
    chunk: int,
    per_pass: int,
    precision: str,
    micro_batching: MicroBatching,
    on_images: Callable[[int], None] | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> None:
    """Look for all classes of a prompt, so many at a time, in every image of a split.

    Text features are computed once for each chunk, what the model computes of an image without a prompt once for each
    image.

    Args:
        model: in any state; it is put into evaluation mode.
        prompt: a list of classes.
        split: the images.
        take: see :data:`Take`; what is kept of the detections is its matter.
        chunk: classes of a caption, consecutive ones; the last has the rest.
        per_pass: detections that are kept of an image and a caption.
        precision: see :func:`odinw_bench.engine.predict.autocast`.
        micro_batching: how many images go through together where memory is short.
        on_images: called with the number of images after every batch.
        on_wait: called with the seconds for which the model waited for a batch's images.

    Raises:
        InputError: an image cannot be read.
        MemoryExhaustedError: not even one image at a time fits into memory.
    """
    model.eval()
    with autocast(torch.device(model.device), precision), model.keeping(per_pass):
        parts = list(_encoded(model, prompt, chunk))
        for batch in timed(batches(model, split), on_wait):
            inputs = [one for _, one in batch]
            found = micro_batching.run(len(inputs), partial(_detect, model, parts, inputs, micro_batching))
            for (image_id, one), detections in zip(batch, found, strict=True):
                width, height = split.size(image_id)
                take(image_id, replace(detections, boxes=scale_boxes(detections.boxes, one.hw, (height, width))))
            if on_images:
                on_images(len(batch))


def _encoded(model: Model, prompt: Prompt, chunk: int) -> Iterator[tuple[int, AnyPrompt]]:
    """The chunks as the model wants them, each with its first class; one that is too long for a pass in parts."""
    for first in range(0, len(prompt), chunk):
        encoded = model.encode(prompt.part(first, min(first + chunk, len(prompt))))
        for part in (encoded.parts or (encoded,)) if isinstance(encoded, EncodedPrompt) else (encoded,):
            yield first, part
            first += len(part)


def _detect(
    model: Model, parts: Sequence[tuple[int, Any]], inputs: Sequence[ModelInput], micro_batching: MicroBatching
) -> list[Detections]:
    """Detections of images that may share a pass, of all chunks one after the other."""
    return [one for group in micro_batching.split(inputs) for one in _detect_group(model, parts, group)]


def _detect_group(model: Model, parts: Sequence[tuple[int, Any]], inputs: Sequence[ModelInput]) -> Iterator[Detections]:
    features = model.encode_images(inputs)
    found: list[list[Detections]] = [[] for _ in inputs]
    for first, part in parts:
        for mine, one in zip(found, model.detect_batch(features, part), strict=True):
            mine.append(Detections(one.boxes.cpu(), one.scores.cpu(), one.labels.cpu() + first))
    for mine in found:
        yield Detections(
            torch.cat([one.boxes for one in mine]),
            torch.cat([one.scores for one in mine]),
            torch.cat([one.labels for one in mine]),
        )
