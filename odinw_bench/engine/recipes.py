"""Named, versioned hyper-parameters: the official fine-tuning recipe, and a quick one for the miniature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from glip_core.errors import InputError, nearest
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.utils.text import shorten

PROTOCOLS: Mapping[str, str] = {
    "odinw-glip-readme-1": "the official README's command: k shots not shuffled, selection on all of validation",
    "odinw-glip-1": "the official recipe: up to 200 epochs, early stop, multi-scale and flip",
    "odinw-glip-2": "the same with the official prepared data: k shots of training and of validation",
    "quick-1": "the official recipe cut to what a laptop does: few epochs, small images while tuning",
    "mini-1": "for the nano models: few epochs, one scale and flip",
}
"""Versioned names of the recipes; without its version a name means the newest."""


def newest_protocol(name: str) -> str:
    """A protocol's full name: ``quick`` is ``quick-1``; unknown names stay as they are."""
    return {full.rpartition("-")[0]: full for full in PROTOCOLS}.get(name, name)


def official_protocol(shots: Shots) -> str:
    """The official recipe for a number of shots: that of the prepared k-shot data, where there are shots to prepare."""
    return "odinw-glip-1" if shots in (0, "all") else "odinw-glip-2"


@dataclass(frozen=True)
class Hyperparameters:
    """How a detector is tuned.

    Attributes:
        lr: base learning rate of AdamW; biases move at twice that.
        language_lr: learning rate of the language backbone.
        offset_factor: learning rate of the tuned prompt offset, in parts of ``lr``.
        fresh_factor: learning rate of a class layer that starts from nothing, in parts of ``lr``. The official
            recipe has time enough to do without; in a few epochs such a layer learns nothing at the rate that suits
            pre-trained weights. 1 for models without such a layer.
        weight_decay: of everything but biases.
        batch: images a step; each is padded on its own.
        epochs: at most so many.
        copies: times the training set is repeated within an epoch.
        clip: largest norm of the gradient of all tuned parameters together.
        scales: lengths of the shorter side to draw from, in parts of the model's own.
        flip: probability of mirroring a training image.
        step_patience: evaluations without a better AP after which the rates fall to a tenth.
        stop_patience: evaluations with a worse AP after which tuning ends.
        min_lr: rates do not fall below this.
        eval_every: epochs between evaluations on the validation split.
        few_shot_validation: select on k shots of the validation split rather than on all of it.
        shuffled_subset: take the ready-made k-shot file, or shuffle by the seed; else images in the order of their
            ids, whatever the seed and whichever files there are.
    """

    lr: float
    weight_decay: float
    epochs: int
    copies: int
    step_patience: int
    stop_patience: int
    language_lr: float = 1e-5
    offset_factor: float = 1.0
    batch: int = 4
    clip: float = 1.0
    scales: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0)
    flip: float = 0.5
    min_lr: float = 1e-6
    eval_every: int = 1
    few_shot_validation: bool = False
    fresh_factor: float = 1.0
    shuffled_subset: bool = True

    def to_json(self) -> dict[str, Any]:
        """As a record holds it; newer fields only where they change something, so that older runs keep their digest."""
        found = asdict(self) | {"scales": list(self.scales)}
        if self.fresh_factor == 1:
            del found["fresh_factor"]
        if self.shuffled_subset:
            del found["shuffled_subset"]
        return found


#                      learning rate  weight decay  offset factor
_OFFICIAL = {
    "prompt":          (0.05,         0.25,         1.0),
    "prompt+linear":   (1e-4,         0.05,         500.0),  # heads as in linear, the offset as in prompt
    "linear":          (1e-4,         0.05,         1.0),
    "language":        (1e-4,         0.05,         1.0),
    "language+linear": (1e-4,         0.05,         1.0),
    "full":            (1e-4,         0.05,         1.0),
}  # fmt: skip
_OFFICIAL_COPIES: Mapping[Shots, int] = {1: 8, 3: 4, 5: 2, 10: 1, "all": 1}

#                      learning rate  language  weight decay  offset factor
_MINI = {
    "prompt":          (0.1,          1e-5,     0.05,         1.0),
    "prompt+linear":   (0.01,         1e-5,     0.05,         10.0),
    "linear":          (3e-3,         1e-5,     0.05,         1.0),
    "language":        (3e-4,         3e-4,     0.05,         1.0),
    "language+linear": (3e-4,         3e-4,     0.05,         1.0),
    "full":            (3e-4,         3e-4,     0.05,         1.0),
}  # fmt: skip
_MINI_COPIES: Mapping[Shots, int] = {1: 8, 3: 4, 5: 2, 10: 1, "all": 1}


def hyperparameters(
    protocol: str, mode: str, shots: Shots, overrides: Mapping[str, Any] | None = None
) -> Hyperparameters:
    """The numbers of a protocol for a mode and a number of shots.

    Args:
        protocol: a key of :data:`odinw_bench.runs.spec.PROTOCOLS`.
        mode: a mode that tunes something.
        shots: images per class or ``"all"``; numbers without an official row take the next smaller row's copies.
        overrides: values that replace the protocol's, by field name.

    Raises:
        InputError: unknown protocol, mode or field, or a value of the wrong kind.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol '{protocol}'{nearest(protocol, PROTOCOLS)}")
    if mode not in _OFFICIAL:
        raise InputError(f"mode '{mode}' tunes nothing and has no hyper-parameters")
    few = shots != "all"
    if protocol.startswith("odinw-glip-"):
        lr, decay, offset = _OFFICIAL[mode]
        chosen = Hyperparameters(
            lr=lr,
            weight_decay=decay,
            offset_factor=offset,
            epochs=200,
            copies=_copies(_OFFICIAL_COPIES, shots),
            step_patience=3 if few else 2,
            stop_patience=8 if few else 4,
            few_shot_validation=few and protocol == "odinw-glip-2",
            shuffled_subset=not (few and protocol == "odinw-glip-readme-1"),
        )
    elif protocol == "quick-1":
        lr, decay, offset = _OFFICIAL[mode]
        chosen = Hyperparameters(
            lr=lr,
            weight_decay=decay,
            offset_factor=offset,
            epochs=6,
            copies=_copies(_OFFICIAL_COPIES, shots),
            step_patience=1,
            stop_patience=2,
            scales=(0.6,),
            eval_every=2,
            fresh_factor=30.0,
            few_shot_validation=few,
        )
    else:
        lr, language, decay, offset = _MINI[mode]
        chosen = Hyperparameters(
            lr=lr,
            language_lr=language,
            weight_decay=decay,
            offset_factor=offset,
            epochs=8,
            copies=_copies(_MINI_COPIES, shots),
            step_patience=1,
            stop_patience=3,
            scales=(1.0,),
            eval_every=2,
            fresh_factor=30.0 if mode == "full" else 10.0,
        )
    return _override(chosen, overrides or {})


def check_overrides(protocol: str, overrides: Mapping[str, Any]) -> None:
    """Check a protocol's name and overrides where nothing is tuned, so that a wrong name is not ignored silently.

    Raises:
        InputError: see :func:`hyperparameters`.
    """
    hyperparameters(protocol, "full", "all", overrides)


def _copies(table: Mapping[Shots, int], shots: Shots) -> int:
    if shots in table:
        return table[shots]
    assert isinstance(shots, int)
    return table[max((k for k in table if isinstance(k, int) and k <= shots), default=1)]


_RANGES: Mapping[str, tuple[float, float]] = {
    "batch": (1, math.inf),
    "epochs": (1, math.inf),
    "copies": (1, math.inf),
    "eval_every": (1, math.inf),
    "flip": (0, 1),
}


def _override(base: Hyperparameters, overrides: Mapping[str, Any]) -> Hyperparameters:
    known = {f.name: getattr(base, f.name) for f in fields(base)}
    values = {}
    for name, value in overrides.items():
        if name not in known:
            raise InputError(f"unknown hyper-parameter '{name}'{nearest(name, known)}")
        values[name] = _convert(name, value, known[name])
    return replace(base, **values)


def _convert(name: str, value: Any, like: Any) -> Any:
    try:
        if isinstance(like, bool):
            if str(value).lower() not in ("true", "false", "1", "0"):
                raise ValueError(value)
            return str(value).lower() in ("true", "1")
        if isinstance(like, tuple):
            parts = value if isinstance(value, list | tuple) else str(value).replace("/", " ").split()
            scales = tuple(float(part) for part in parts)
            if not scales or not all(0 < scale < math.inf for scale in scales):
                raise ValueError(value)
            return scales
        number = type(like)(str(value))  # so that 1.5 is no whole number, and True none at all
        low, high = _RANGES.get(name, (0, math.inf))
        if not low <= number <= high or not math.isfinite(number):
            raise ValueError(value)
        return number
    except (TypeError, ValueError):
        raise InputError(f"hyper-parameter '{name}' wants {_wanted(name, like)}, not {shorten(value)}") from None


def _wanted(name: str, like: Any) -> str:
    if isinstance(like, bool):
        return "true or false"
    if isinstance(like, tuple):
        return "numbers above 0, such as 0.8/1.0"
    low, high = _RANGES.get(name, (0, math.inf))
    kind = "a whole number" if isinstance(like, int) else "a number"
    return f"{kind} of at least {low}" if high == math.inf else f"{kind} from {low} to {high}"
