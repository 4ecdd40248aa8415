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

from glip_core import Detector
from odinw_bench.datasets.coco import Split
from odinw_bench.engine.data import ImageRequest, PreparedImage, prepare_image
from odinw_bench.engine.features import Features, FrozenPart
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
    split: Split, views: Iterable[ImageRequest], detector: Detector, frozen: FrozenPart | None = None
) -> Generator[tuple[ImageRequest, PreparedImage | Features]]:
    """Views in order, each as the network takes it: its pixels, or with a frozen part that part's features.

    Features are computed when they are taken, under the caller's autocast.

    Raises:
        InputError: an image cannot be read.
    """

    def key(view: ImageRequest) -> tuple[str, ImageRequest]:
        return split.sha256, view

    images = read_ahead(
        views,
        lambda view: prepare_image(split, view, detector),
        threads=reading_threads(detector.device),
        wanted=lambda view: frozen is None or key(view) not in frozen.cache,
    )
    with closing(images):
        for view, image in images:
            yield view, (image() if frozen is None else frozen.of(key(view), image))
