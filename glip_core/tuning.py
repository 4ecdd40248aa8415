"""Tuning a detector: freezing, what is trained, optimiser groups, saving and putting back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from glip_core.checkpoint import check_values, named_tensors
from glip_core.detector import GLIP, Detector
from glip_core.errors import InputError
from glip_core.modes import LANGUAGE, MODES, PROMPT_OFFSET, TuningMode, get_mode
from glip_core.prompt import Prompt

__all__ = [
    "MODES",
    "PROMPT_OFFSET",
    "TuningMode",
    "apply_tuned",
    "get_mode",
    "names_of",
    "new_offset",
    "parameter_groups",
    "prepare",
    "restore",
    "trainable_names",
    "tuned_state",
]

_HELD = ("_parameters", "_buffers", "_modules")


def names_of(detector: Detector, mode: TuningMode) -> list[str]:
    """Official names of the existing parameters and the offset that a mode trains, in the order of the model."""
    mode.check(detector.config)
    names = [name for name in named_tensors(detector, detector.config) if name != PROMPT_OFFSET]
    return [name for name in names if mode.is_trainable(name)] + ([PROMPT_OFFSET] if mode.tunes_offset else [])


def trainable_names(detector: Detector, mode: str) -> list[str]:
    """Official names of the parameters that a mode trains."""
    return names_of(detector, get_mode(mode))


def prepare(detector: Detector, mode: TuningMode, prompt: Prompt) -> dict[str, nn.Parameter]:
    """Freeze what a mode does not train and return the existing parameters that it does, by official name.

    Where the mode tunes an offset, the detector gets a zero one with a row per token of ``prompt``.
    """
    mode.check(detector.config)
    if isinstance(detector, GLIP):
        tokens = len(detector.language.tokenize(prompt).ids) if mode.tunes_offset else 0
        detector.prompt_offset = new_offset(detector, tokens) if mode.tunes_offset else None
    trainable: dict[str, nn.Parameter] = {}
    for name, tensor in named_tensors(detector, detector.config).items():
        if not isinstance(tensor, nn.Parameter):
            continue
        tensor.requires_grad_(name == PROMPT_OFFSET or mode.is_trainable(name))
        if tensor.requires_grad:
            trainable[name] = tensor
    return trainable


def new_offset(detector: GLIP, tokens: int) -> nn.Parameter:
    """A zero offset for a prompt of so many tokens, ``[tokens, D]``."""
    bias = detector.head.bias_lang  # (D,), which the offset has the type of
    return nn.Parameter(bias.new_zeros(tokens, len(bias)))


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], *, lr: float, language_lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Optimiser groups by the official rule.

    The language backbone has its own rate. Any name that contains ``bias`` (so also relative position tables,
    ``bias_lang`` and ``bias0``) has twice the rate and does not decay; normalisation weights decay like others.

    Args:
        parameters: official name -> parameter.
        lr: base learning rate.
        language_lr: learning rate of the language backbone.
        weight_decay: decay of everything but biases.

    Returns:
        One group per combination of rate and decay, with ``params``, ``names``, ``lr`` and ``weight_decay``.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        rate = language_lr if name.startswith(LANGUAGE) else lr
        bias = "bias" in name
        key = (rate * 2 if bias else rate, 0.0 if bias else weight_decay)
        group = groups.setdefault(key, {"params": [], "names": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def tuned_state(detector: Detector, mode: TuningMode) -> dict[str, Tensor]:
    """What was trained by name, low-rank updates included: copies on the CPU, for ``tuned.safetensors``.

    Raises:
        KeyError: a mode of another package added modules: keep the parameters that its ``add_modules`` returned.
    """
    tensors = named_tensors(detector, detector.config)
    names = [name for name in mode.trainable_names(detector) if name in tensors]
    names += [name for name in tensors if mode.is_added(name)]
    return {name: tensors[name].detach().to("cpu", copy=True).contiguous() for name in names}


def apply_tuned(detector: Detector, state: Mapping[str, Tensor], *, source: str = "tuned weights") -> None:
    """Put what :func:`tuned_state` saved into the model it was tuned from.

    Modes that add modules, such as ``lora``, need :func:`restore`, which adds them again.

    Args:
        detector: the base model, as it was before tuning.
        state: official name -> tensor. A prompt offset may have one row per token, or the 1000 rows of an official
            checkpoint.
        source: where the tensors come from, for the message.

    Raises:
        InputError: a tensor does not belong to this model, or holds no finite numbers. Nothing was changed.
    """
    if PROMPT_OFFSET in state and not isinstance(detector, GLIP):
        raise InputError(f"{source} hold a tuned prompt, '{detector.config.name}' reads no prompts")
    tensors = named_tensors(detector, detector.config)
    wrong = [name for name, value in state.items() if not _fits(detector, name, value, tensors)]
    if wrong:
        raise InputError(f"{source} do not fit the model '{detector.config.name}': {wrong[0]} ({len(wrong)} in all)")
    for name, value in state.items():
        check_values(name, value, source)
    _fill(detector, state, tensors)


def restore(
    detector: Detector, mode: TuningMode, prompt: Prompt, state: Mapping[str, Tensor], *, source: str
) -> dict[str, nn.Parameter]:
    """Bring a base detector to where a mode's training left it, with the modules that the mode adds.

    Args:
        detector: the base model, as it was before tuning.
        mode: with the hyper-parameters of the training (:meth:`TuningMode.configured`).
        prompt: that it was tuned for.
        state: what was saved, by name: all that the mode trains.
        source: where the tensors come from, for messages.

    Returns:
        what was trained, by the names to save it under.

    Raises:
        InputError: the tensors do not fit the model and the mode, or hold no finite numbers. The detector is as it
            was.
    """
    for name, value in state.items():
        check_values(name, value, source)
    with _as_before_unless_done(detector):
        own = mode.prepare(detector, prompt)
        tokens = len(own.get(PROMPT_OFFSET, ()))
        own |= mode.add_modules(detector, prompt)
        wrong = [name for name, value in state.items() if name not in own or not _fits(detector, name, value, own)]
        wrong += sorted(own.keys() - state.keys())
        if not wrong and len(state.get(PROMPT_OFFSET, ())) < tokens:
            wrong = [PROMPT_OFFSET]
        if wrong:
            raise InputError(
                f"{source} do not fit the model '{detector.config.name}' and mode '{mode.name}': {wrong[0]} "
                f"({len(wrong)} in all)"
            )
    _fill(detector, state, own)
    detector.to(detector.device)
    if PROMPT_OFFSET in own:  # as long as the one that was saved
        own[PROMPT_OFFSET] = detector.get_parameter("prompt_offset")
    return own


def _fits(detector: Detector, name: str, value: Tensor, own: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is one of the detector's, or a prompt offset of any number of rows."""
    if name == PROMPT_OFFSET and isinstance(detector, GLIP):
        return value.dim() == 2 and value.shape[1:] == detector.head.bias_lang.shape
    return name in own and own[name].shape == value.shape


def _fill(detector: Detector, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Copy values that :func:`_fits` found to fit."""
    own = dict(own)
    if PROMPT_OFFSET in state:
        assert isinstance(detector, GLIP)
        detector.prompt_offset = new_offset(detector, len(state[PROMPT_OFFSET]))
        own[PROMPT_OFFSET] = detector.prompt_offset
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)


@contextmanager
def _as_before_unless_done(detector: nn.Module) -> Iterator[None]:
    """If the block raises, put modules and parameters (not their values) back, and what is trained of them."""
    modules = [
        (module, type(module), dict(vars(module)), {part: dict(vars(module)[part]) for part in _HELD})
        for module in detector.modules()
    ]
    trained = [(parameter, parameter.requires_grad) for parameter in detector.parameters()]
    try:
        yield
    except BaseException:
        for module, kind, attributes, held in modules:
            module.__class__ = kind  # an adapted layer has a class of its own
            vars(module).clear()
            vars(module).update(attributes | held)
        for parameter, on in trained:
            parameter.requires_grad_(on)
        raise
