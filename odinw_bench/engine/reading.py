"""Images for the network, in order; beside a GPU they are read in the background, so that it does not wait."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TypeVar

import torch

from odinw_bench.datasets.coco import Split
from odinw_bench.engine.data import ImageRequest, prepare_image
from odinw_bench.engine.features import FrozenPart
from odinw_bench.models import Model, ModelInput
from odinw_bench.utils.hardware import cores

_MOST_THREADS = 8
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def reading_threads(device: torch.device) -> int:
    """Threads that read images ahead: none beside a model that needs all cores for itself.

    Processes that torchrun started on this machine share its cores.
    """
    if device.type == "cpu":
        return 0
    return max(1, min(_MOST_THREADS, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def read_ahead(
    items: Iterable[_Item],
    load: Callable[[_Item], _Result],
    *,
    threads: int,
    wanted: Callable[[_Item], bool] = lambda _: True,
) -> Generator[tuple[_Item, Callable[[], _Result]]]:
    """Items in order, each with a way to its result.

    Args:
        items: what to load.
        load: is called in the background, at most two items a thread ahead of the one that is taken; what it raises
            is raised where the result is asked for.
        threads: 0: an item is loaded when its result is asked for.
        wanted: whether a result is likely to be asked for; else it is loaded only then.
    """
    if threads == 0:
        for item in items:
            yield item, partial(load, item)
        return
    waiting: deque[tuple[_Item, Callable[[], _Result]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    try:
        for item in items:
            waiting.append((item, pool.submit(load, item).result if wanted(item) else partial(load, item)))
            if len(waiting) > 2 * threads:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read(
    split: Split, requests: Iterable[ImageRequest], model: Model, frozen: FrozenPart | None = None
) -> Generator[tuple[ImageRequest, ModelInput]]:
    """Requests in order, each with what the model takes: the prepared image, or with a frozen part its features.

    Features are computed when they are taken, under the caller's autocast.

    Raises:
        InputError: an image cannot be read.
    """

    def key(request: ImageRequest) -> tuple[str, ImageRequest]:
        return split.sha256, request

    images = read_ahead(
        requests,
        lambda request: prepare_image(split, request, model),
        threads=reading_threads(torch.device(model.device)),
        wanted=lambda request: frozen is None or not frozen.holds(key(request)),
    )
    with closing(images):
        for request, image in images:
            yield request, (image() if frozen is None else frozen.of(key(request), image))
