"""Batches too large for the memory: they go through the model in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_WORDS = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says in errors of no kind of their own: of its CPU allocator, of CUDA's and of cuBLAS's workspaces."""


class MemoryExhaustedError(RuntimeError):
    """Not even one image at a time fits."""


class MicroBatching:
    """How many images go through the model together; halves each time memory runs out.

    Losses are normalised over the whole batch and images do not see each other, so micro-batches change the
    numbers by no more than the order of sums does, other draws of dropout apart.

    Attributes:
        max_images: images at most; None: no limit was met yet.
    """

    def __init__(self) -> None:
        self.max_images: int | None = None

    def split(self, items: Sequence[_Item]) -> list[Sequence[_Item]]:
        """The items in micro-batches."""
        size = self.max_images or max(len(items), 1)
        return [items[start : start + size] for start in range(0, len(items), size)]

    def run(self, images: int, work: Callable[[], _Result]) -> _Result:
        """Do work that goes by :meth:`split`; when memory runs out, halve and do all of it again.

        Args:
            images: the largest number that goes through together.
            work: is called until it ends well; what a failed call left behind must not matter.

        Raises:
            MemoryExhaustedError: a single image was too much.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = next(iter(str(error).splitlines()), type(error).__name__)  # Python's own says nothing
            # Outside of the handler, whose traceback holds on to the tensors of the failed attempt.
            now = min(self.max_images or images, images)
            if now <= 1:
                thrift = "--checkpointing, " if torch.is_grad_enabled() else ""  # of use in tuning alone
                remedy = f"use {thrift}--precision bf16 or a device with more memory"
                raise MemoryExhaustedError(f"out of memory with one image at a time: {remedy} ({reason})")
            self.max_images = now // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: on a GPU, in its libraries, for torch's or Python's own allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
