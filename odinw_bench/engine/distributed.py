"""Several processes at work on one run (``torchrun``): a batch is split among them, everything else is the same in all.

Losses are normalised over the whole batch before they are computed (:class:`glip_core.detection.losses.Normalisers`),
so the sums of all members' losses and gradients are those of one process with that batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from glip_core.errors import InputError

_Item = TypeVar("_Item")

_LONGEST_WAIT = timedelta(hours=12)
"""Processes meet after each has tested its whole share, which takes hours for large splits and differs by a part of
that; NCCL's own limit is ten minutes. One that fails or dies keeps nobody waiting: torchrun then ends the others."""


class ProcessFailedError(RuntimeError):
    """One of several processes failed in the middle of a run, which the others do not know: none of them can go on."""


class DistributedContext:
    """One process alone; what :class:`TorchDistributed` does among several does nothing here.

    Attributes:
        rank: position of this process, the leader's is 0.
        size: how many there are.
    """

    rank = 0
    size = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def shard(self, items: Sequence[_Item]) -> list[_Item]:
        """What of a list falls to this process."""
        return list(items[self.rank :: self.size])

    def broadcast(self, value: Any) -> Any:
        """The leader's value, in every process."""
        return value

    def all_gather(self, items: list[Any]) -> list[Any]:
        """Every process's items, in every process."""
        return items

    def all_reduce(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums over the processes; all must give the same names."""
        return dict(values)

    def all_reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients; where a process has none, its part is 0."""


class TorchDistributed(DistributedContext):
    """The processes that ``torchrun`` started, over NCCL on GPUs and gloo on CPUs.

    Args:
        device: of this process.

    Raises:
        InputError: the processes do not find each other.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        try:
            backend = "nccl" if device.startswith("cuda") else "gloo"
            torch.distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"the processes of torchrun do not find each other: {error}") from error
        self.rank = torch.distributed.get_rank()
        self.size = torch.distributed.get_world_size()

    def broadcast(self, value: Any) -> Any:
        """See :class:`DistributedContext`."""
        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def all_gather(self, items: list[Any]) -> list[Any]:
        """See :class:`DistributedContext`."""
        parts: list[list[Any]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def all_reduce(self, values: Mapping[str, float]) -> dict[str, float]:
        """See :class:`DistributedContext`."""
        names = sorted(values)
        sums = torch.tensor([values[name] for name in names], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(sums)
        return dict(zip(names, sums.tolist(), strict=True))

    def all_reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """See :class:`DistributedContext`; one message for all of a kind, small ones cost as much as large ones."""
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            kinds.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for gradients in kinds.values():
            joined = torch.cat([gradient.reshape(-1) for gradient in gradients])
            torch.distributed.all_reduce(joined)
            parts = joined.split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def close(self) -> None:
        """Part from the others, after :meth:`leave`."""
        with suppress(RuntimeError):
            torch.distributed.destroy_process_group()

    def leave(self) -> None:
        """Part from the others when all have done their work: nobody's threads lose their partner at their end."""
        with suppress(RuntimeError):
            torch.distributed.barrier()


SINGLE_PROCESS = DistributedContext()
"""This process by itself."""


def local_device(device: str) -> str:
    """The GPU of this process, where GPUs were asked for without saying which."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device
