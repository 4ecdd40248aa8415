"""Official names and a detector's weights: listing them, filling them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from glip_core.checkpoint.names import is_ignored, official_name
from glip_core.checkpoint.reading import strip_prefix
from glip_core.config import DetectorConfig
from glip_core.errors import InputError

_SHOWN = 5  # names listed per kind of mismatch


def named_tensors(detector: nn.Module, config: DetectorConfig) -> dict[str, Tensor]:
    """Every weight of a detector under its official name, sharing memory with it."""
    return {official_name(name, config): tensor for name, tensor in detector.state_dict(keep_vars=True).items()}


def load_official_state_dict(
    detector: nn.Module,
    state_dict: Mapping[str, Tensor],
    *,
    source: str = "state dict",
    may_differ: Sequence[str] = (),
    lenient: bool = False,
) -> list[str]:
    """Fill a detector from official names; strict.

    Args:
        detector: a GLIP or DyHead.
        state_dict: official names, with or without ``module.`` before all of them.
        source: where the tensors come from, for the message.
        may_differ: beginnings of names that may be absent or of another shape and then stay as they are (a fresh
            class layer).
        lenient: ignore names that the detector has no use for.

    Returns:
        the names that were ignored because of ``lenient``; names that every official checkpoint may hold in vain
        are not listed.

    Raises:
        InputError: names are missing, unknown (unless ``lenient``) or of another shape, or values are no finite
            numbers; the message lists them. Nothing was loaded.
    """
    config: DetectorConfig = detector.config  # type: ignore[assignment]
    state = strip_prefix(state_dict)
    ours = named_tensors(detector, config)
    ours.pop("rpn.tunable_linear.weight", None)  # tuned, not part of a checkpoint
    optional = tuple(may_differ)
    skipped = (
        {k for k in ours if k.startswith(optional) and (k not in state or state[k].shape != ours[k].shape)}
        if optional
        else set()
    )
    missing = [k for k in ours if k not in state and k not in skipped]
    unused = [k for k in state if k not in ours and not is_ignored(k, config) and not _is_zero_offset(k, state[k])]
    if optional:  # another family's head may stand in the file
        unused = [k for k in unused if not _is_foreign_part(k, config)]
    ignored = unused if lenient else []
    unused = [] if lenient else unused
    misshapen = [
        f"{k} {list(state[k].shape)} for {list(v.shape)}"
        for k, v in ours.items()
        if k in state and k not in skipped and state[k].shape != v.shape
    ]
    if missing or unused or misshapen:
        problems = [
            f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
            for kind, names in (("missing", missing), ("unused", unused), ("of another shape", misshapen))
            if names
        ]
        remedy = "; ignore them by --lenient-weights (lenient=True in Python)" if not (missing or misshapen) else ""
        raise InputError(f"{source} does not fit the model '{config.name}': " + "; ".join(problems) + remedy)
    for name in ours:
        if name not in skipped:
            check_values(name, state[name], source)
    with torch.no_grad():
        for name, tensor in ours.items():
            if name not in skipped:
                tensor.copy_(state[name])
    return ignored


def check_values(name: str, tensor: Tensor, source: str) -> None:
    """Raise :class:`InputError` where a tensor of a file holds anything but finite floating-point numbers."""
    if tensor.is_complex() or not tensor.is_floating_point():
        raise InputError(f"{source}: '{name}' holds {tensor.dtype}, no floating-point numbers")
    if not tensor.isfinite().all():
        raise InputError(f"{source}: '{name}' holds values that are not finite numbers")


def _is_zero_offset(name: str, tensor: Tensor) -> bool:
    """A prompt offset as it is before tuning; a tuned one changes the results and must not be dropped unnoticed."""
    return name.startswith("rpn.tunable_") and not tensor.any()


def _is_foreign_part(name: str, config: DetectorConfig) -> bool:
    """A part of a GLIP that a class-head detector has no use for."""
    return not config.has_text and name.startswith(
        (
            "language_backbone.",
            "rpn.head.dot_product_projection_text.",
            "rpn.head.log_scale",
            "rpn.head.bias_lang",
            "rpn.head.bias0",
        )
    )
