"""The losses of closed-set query detectors: transformers' own, in float32, by what they are losses of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glip_core import InputError
from odinw_bench.models.hub.precision import as_float32

KINDS: Mapping[str, tuple[str, ...]] = {
    "class": ("loss_vfl", "loss_mal", "loss_ce"),
    "box": ("loss_bbox",),
    "giou": ("loss_giou",),
    "corners": ("loss_fgl",),
    "distillation": ("loss_ddf",),
}
"""Name of a loss -> how transformers' names of its parts begin."""


def guarded(own: Callable[..., Any]) -> Callable[..., Any]:
    """A network's loss function, computed in float32; of boxes that are not finite it is not a number.

    The matcher would end with a traceback there.

    Raises:
        InputError: (when called) scipy, which matches queries with boxes, is missing.
    """

    def loss(
        logits: Tensor, labels: Any, device: Any, pred_boxes: Tensor, config: Any, *layers: Any, **named: Any
    ) -> Any:
        from transformers.utils import is_scipy_available

        if not is_scipy_available():
            raise InputError("tuning this model needs scipy, which matches queries with boxes: pip install scipy")
        if not (bool(pred_boxes.isfinite().all()) and bool(logits.isfinite().all())):
            nothing = (pred_boxes.sum() + logits.sum()) * float("nan")
            return nothing, {"loss_bbox": nothing}, None
        with torch.autocast(logits.device.type, enabled=False), alone():
            return own(
                as_float32(logits),
                labels,
                device,
                as_float32(pred_boxes),
                config,
                *(as_float32(one) for one in layers),
                **{name: as_float32(one) for name, one in named.items()},
            )

    return loss


@contextmanager
def alone() -> Iterator[None]:
    """While the block runs, RF-DETR's loss does not ask other processes for their boxes.

    It would divide by the mean over processes. What a batch's losses are divided by is decided here, and a process
    may have more passes than another, which would wait for ever.
    """
    try:
        from transformers.loss import loss_lw_detr as published
    except ImportError:  # a version without the family
        yield
        return
    name = "_is_torch_distributed_initialized"
    usual = getattr(published, name, None)
    if usual is None:
        yield
        return
    setattr(published, name, lambda: False)
    try:
        yield
    finally:
        setattr(published, name, usual)


def by_kind(
    parts: Mapping[str, Tensor], kinds: tuple[str, ...], share: float, weights: Mapping[str, float]
) -> dict[str, Tensor]:
    """The parts of transformers' loss, of all layers, as a few sums; together the loss itself times ``share``.

    Args:
        parts: by transformers' names.
        kinds: keys of :data:`KINDS`.
        share: boxes of the images that went through together, in parts of the whole batch's.
        weights: of the parts that transformers gives without; by the name of the last layer's.
    """
    nothing = next(iter(parts.values())).new_zeros(())
    sums = dict.fromkeys(kinds, nothing)
    for kind in kinds:
        for beginning in KINDS[kind]:
            found = [value for name, value in parts.items() if name.startswith(beginning)]
            if found:
                sums[kind] = sums[kind] + torch.stack(found).sum() * (weights.get(beginning, 1.0) * share)
    return sums
