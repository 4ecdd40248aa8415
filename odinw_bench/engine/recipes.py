"""The hyper-parameters of a protocol for a mode and a number of shots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from glip_core.errors import InputError, nearest
from glip_core.modes import LoRA, TuningMode
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.engine.protocol_files import PROTOCOLS, contents, lineage
from odinw_bench.models import find_mode
from odinw_bench.utils.text import shorten

RECORDED: Mapping[str, str] = {"repeats_per_epoch": "copies", "max_grad_norm": "clip"}
"""Fields that records (and so the digests of runs) call by an older name, which ``--set`` takes too."""


def current_name(hyperparameter: str) -> str:
    """What a hyper-parameter is called now, whichever of its names is given."""
    return {old: new for new, old in RECORDED.items()}.get(hyperparameter, hyperparameter)


OF_A_MODE = ("adapter_rank", "adapter_alpha", "adapter_where")
"""Fields that only modes with hyper-parameters of their own read; see :attr:`TuningMode.is_configurable`."""

_NEWER = {
    *OF_A_MODE,
    "fresh_factor",
    "shuffled_subset",
    "tower_dropout",
    "text_per_image",
    "train_precision",
    "min_positives",
    "count_steps",
    "step_at",
    "min_steps_per_epoch",
}
"""Fields that the oldest records do not have: there they are as by default."""

_TRAIN_PRECISIONS = ("run", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Hyperparameters:
    """How a detector is tuned.

    Attributes:
        lr: base learning rate of AdamW; biases have twice that.
        language_lr: learning rate of the language backbone; of low-rank updates of it ``lr`` unless it is given: they
            begin at nothing, as those elsewhere.
        offset_factor: learning rate of the tuned prompt offset, in parts of ``lr``.
        fresh_factor: learning rate of a class layer that starts from nothing, in parts of ``lr``. The official
            recipe has time enough to do without; in a few epochs such a layer learns nothing at the rate that suits
            pre-trained weights. 1 for models without such a layer.
        weight_decay: of everything but biases.
        batch: images a step; each is padded on its own.
        epochs: at most so many.
        repeats_per_epoch: times the training set is repeated within an epoch; an override puts
            ``min_steps_per_epoch`` out of force unless that is given too.
        max_grad_norm: largest norm of the gradient of all tuned parameters together.
        scales: lengths of the shorter side to draw from, in parts of the model's own.
        flip: probability of mirroring a training image.
        step_patience: evaluations without a better AP after which the rates fall to a tenth.
        stop_patience: evaluations with a worse AP after which tuning ends.
        min_lr: rates do not fall below this.
        eval_every: epochs between evaluations on the validation split.
        few_shot_validation: select on k shots of the validation split rather than on all of it.
        adapter_rank: of low-rank updates, in the modes that train such; 0: the mode has none.
        adapter_alpha: their scale in units of ``1 / adapter_rank``.
        adapter_where: the parts of the detector that they adapt, joined by ``+``, as
            :data:`glip_core.modes.adapters.PARTS` names them.
        shuffled_subset: take the ready-made k-shot file, or shuffle by the seed; else images in the order of their
            ids, whatever the seed and whichever files there are.
        tower_dropout: dropout in the tower (fusion and language layers) while tuning, in modes that freeze it too, as
            in the official linear probe; what lies behind it is then not cached.
        text_per_image: a trained language backbone draws its dropout for each image; else images that share a pass
            share one draw.
        train_precision: ``fp32``, ``bf16`` or ``fp16`` while tuning, whatever the run evaluates in; ``run``: the same.
        min_positives: the losses of a batch are divided by at least so many positive anchors. 4 is the official
            bound of 1 on each of four GPUs.
        count_steps: length and evaluations as the official code counts them: epochs x images x repeats // batch steps,
            and an evaluation every so many of them as their number // epochs is, and at the end. So where an epoch is
            no whole number of batches there are more steps and evaluations than ``epochs`` of whole batches make.
        step_at: where of all steps the rates fall to a tenth, as shares from 0 to 1; they fall by validation AP as well
            unless ``step_patience`` is long.
        min_steps_per_epoch: the training set is repeated more often within an epoch that would have fewer optimiser
            steps; 0: never.
    """

    lr: float
    weight_decay: float
    epochs: int
    repeats_per_epoch: int
    step_patience: int
    stop_patience: int
    language_lr: float = 1e-5
    offset_factor: float = 1.0
    batch: int = 4
    max_grad_norm: float = 1.0
    scales: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0)
    flip: float = 0.5
    min_lr: float = 1e-6
    eval_every: int = 1
    few_shot_validation: bool = False
    fresh_factor: float = 1.0
    shuffled_subset: bool = True
    tower_dropout: bool = False
    text_per_image: bool = False
    train_precision: str = "run"
    min_positives: int = 1
    count_steps: bool = False
    adapter_rank: int = 0
    adapter_alpha: float = 0.0
    adapter_where: str = ""
    step_at: tuple[float, ...] = ()
    min_steps_per_epoch: int = 0

    def to_json(self) -> dict[str, Any]:
        """As a record holds it, under the names of its first schema, of which the digests of runs are made.

        Newer fields only where they change something, so that older runs keep their digest.
        """
        found = {RECORDED.get(name, name): value for name, value in asdict(self).items()}
        found |= {"scales": list(self.scales), "step_at": list(self.step_at)}
        for one in fields(self):
            if one.name in _NEWER and getattr(self, one.name) == one.default:
                del found[one.name]
        return found

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> Hyperparameters | None:
        """What a record holds, of any version; None where it lacks a value that has no default."""
        known = {one.name for one in fields(cls)}
        values = {current_name(name): value for name, value in recorded.items() if current_name(name) in known}
        values |= {name: tuple(values[name]) for name in ("scales", "step_at") if name in values}
        try:
            return cls(**values)
        except TypeError:
            return None


def hyperparameters(
    protocol: str, mode: str, shots: Shots, overrides: Mapping[str, Any] | None = None, *, model: str = ""
) -> Hyperparameters:
    """The numbers of a protocol for a mode and a number of shots.

    Args:
        protocol: a key of :data:`odinw_bench.runs.spec.PROTOCOLS`.
        mode: a mode that tunes something.
        shots: images per class or ``"all"``; numbers without a row take the next smaller row.
        overrides: values that replace the protocol's, by field name.
        model: the protocol may have values of its own for a model.

    Raises:
        InputError: unknown protocol, mode or field, or a value of the wrong kind.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol '{protocol}'{nearest(protocol, PROTOCOLS)}")
    chosen = find_mode(mode)
    if not chosen.tunes:
        raise InputError(f"mode '{mode}' tunes nothing and has no hyper-parameters")
    content = contents()[protocol]
    values = {
        **content["all"],
        **content["few_shots" if shots != "all" else "all_shots"],
        "repeats_per_epoch": _repeats(content["repeats_per_epoch"], shots),
        **_row(content, protocol, chosen),
        **content.get("models", {}).get(model, {}).get(mode, {}),
    }
    lists = {name: tuple(values[name]) for name in ("scales", "step_at") if name in values}
    given = {current_name(name): value for name, value in (overrides or {}).items()}
    if "repeats_per_epoch" in given:  # else a small number of repeats would change nothing
        given = {"min_steps_per_epoch": 0} | given
    made = _override(Hyperparameters(**{**values, **lists}), given)
    if isinstance(chosen, LoRA) and "language" in made.adapter_where.split("+") and "language_lr" not in values | given:
        made = replace(made, language_lr=made.lr)
    return made


def _row(content: Mapping[str, Any], protocol: str, mode: TuningMode) -> Mapping[str, Any]:
    """The protocol's own row for a mode, else the one that the mode brings for it or for what it extends."""
    brought = [mode.recipes[name] for name in lineage(protocol) if name in mode.recipes]
    row = content["modes"].get(mode.name) or (brought[0] if brought else mode.recipe)
    known = {field.name for field in fields(Hyperparameters)}
    for name in row:
        if name not in known:
            raise InputError(f"the recipe of mode '{mode.name}' has an unknown field '{name}'{nearest(name, known)}")
    missing = [name for name in ("lr", "weight_decay") if name not in row]
    if missing:
        raise InputError(f"protocol '{protocol}' has no row for mode '{mode.name}', and its own recipe no {missing[0]}")
    return row


def check_overrides(protocol: str, overrides: Mapping[str, Any]) -> None:
    """Check a protocol's name and overrides where nothing is tuned, so that a wrong name is not ignored silently.

    Raises:
        InputError: see :func:`hyperparameters`.
    """
    hyperparameters(protocol, "full", "all", overrides)


def _repeats(table: Mapping[Shots, int], shots: Shots) -> int:
    if shots in table:
        return table[shots]
    assert isinstance(shots, int)
    return table[max((k for k in table if isinstance(k, int) and k <= shots), default=1)]


_RANGES: Mapping[str, tuple[float, float]] = {
    "batch": (1, math.inf),
    "epochs": (1, math.inf),
    "repeats_per_epoch": (1, math.inf),
    "eval_every": (1, math.inf),
    "min_positives": (1, math.inf),
    "flip": (0, 1),
}


def _override(base: Hyperparameters, overrides: Mapping[str, Any]) -> Hyperparameters:
    known = {f.name: getattr(base, f.name) for f in fields(base)}
    values = {}
    for given, value in overrides.items():
        name = current_name(given)
        if name not in known:
            raise InputError(f"unknown hyper-parameter '{given}'{nearest(given, known)}")
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
            high = 1 if name == "step_at" else math.inf
            if not scales or not all(0 < scale < high for scale in scales):
                raise ValueError(value)
            return scales
        if isinstance(like, str):
            if name == "train_precision" and value not in _TRAIN_PRECISIONS:
                raise ValueError(value)
            return str(value)
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
        return (
            "numbers above 0, such as 0.8/1.0" if name == "scales" else "shares above 0 and below 1, such as 0.67/0.89"
        )
    if isinstance(like, str):
        return " or ".join(_TRAIN_PRECISIONS)
    low, high = _RANGES.get(name, (0, math.inf))
    kind = "a whole number" if isinstance(like, int) else "a number"
    return f"{kind} of at least {low}" if high == math.inf else f"{kind} from {low} to {high}"
