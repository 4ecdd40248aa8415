"""Reading and writing weights: official ``.pth`` files, safetensors, the hub; never a pickle that can run code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from glip_core.checkpoint.names import is_ignored, official_name
from glip_core.config import PRESETS, DetectorConfig
from glip_core.errors import InputError

HUB_REPOSITORY = "GLIPModel/GLIP"
EMBEDDED = Path(__file__).parents[1] / "data"
_SHOWN = 5  # names listed per kind of mismatch


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file under official names.

    Args:
        path: ``.safetensors``, or a ``.pth``/``.pt``/``.bin`` file of torch, loaded with ``weights_only=True``.
            Official files keep the tensors under ``"model"``; other entries are left alone. A ``module.`` prefix
            is dropped where all names have it.

    Raises:
        InputError: the file is missing, damaged, of another kind, or needs code to be run.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"checkpoint '{path}' not found")
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint '{path}' holds more than tensors and is not loaded, since that could run code in it; "
            "save its state_dict alone, or as .safetensors"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"checkpoint '{path}' cannot be read ({reason}); is the download complete? Expected .pth or .safetensors"
        ) from error
    if isinstance(content, Mapping):
        content = content.get("model", content)
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"checkpoint '{path}' holds no state dict (a mapping of names to tensors)")
    stray = [k for k, v in content.items() if not isinstance(k, str) or not isinstance(v, Tensor)]
    if stray:
        raise InputError(f"checkpoint '{path}' holds '{stray[0]}', which is no tensor; expected a state dict")
    return strip_prefix(dict(content))


def strip_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the ``module.`` that data-parallel training puts before every name, if all names have it."""
    if state and all(k.startswith("module.") for k in state):
        return {k.removeprefix("module."): v for k, v in state.items()}
    return dict(state)


def named_tensors(detector: nn.Module, config: DetectorConfig) -> dict[str, Tensor]:
    """Every weight of a detector under its official name, sharing memory with it."""
    return {official_name(name, config): tensor for name, tensor in detector.state_dict(keep_vars=True).items()}


def load_official_state_dict(
    detector: nn.Module,
    state_dict: Mapping[str, Tensor],
    *,
    source: str = "state dict",
    may_differ: Sequence[str] = (),
) -> None:
    """Fill a detector from official names; strict.

    Args:
        detector: a GLIP or DyHead.
        state_dict: official names, with or without ``module.`` before all of them.
        source: where the tensors come from, for the message.
        may_differ: beginnings of names that may be absent or of another shape and then stay as they are (a fresh
            class layer).

    Raises:
        InputError: names are missing, left over or of another shape, or values are no finite numbers; the message
            lists them. Nothing was loaded.
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
    unused = [k for k in state if k not in ours and not is_ignored(k, config) and not k.startswith("rpn.tunable_")]
    if optional:  # another family's head may stand in the file
        unused = [k for k in unused if not _is_foreign_part(k, config)]
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
        raise InputError(f"{source} does not fit the model '{config.name}': " + "; ".join(problems))
    for name in ours:
        if name not in skipped:
            _check_values(name, state[name], source)
    with torch.no_grad():
        for name, tensor in ours.items():
            if name not in skipped:
                tensor.copy_(state[name])


def _check_values(name: str, tensor: Tensor, source: str) -> None:
    if tensor.is_complex() or not tensor.is_floating_point():
        raise InputError(f"{source}: '{name}' holds {tensor.dtype}, no floating-point numbers")
    if not tensor.isfinite().all():
        raise InputError(f"{source}: '{name}' holds values that are not finite numbers")


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


def find_weights(config: DetectorConfig, weights: str | Path | None) -> Path:
    """The file that ``weights`` means: a path, another preset's weights, or the model's own (None).

    Raises:
        InputError: there is no such file, or it must be downloaded and there is no network.
    """
    if weights is not None and str(weights) in PRESETS:
        config = PRESETS[str(weights)]
        weights = None
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise InputError(f"checkpoint '{path}' not found; give a .pth or .safetensors file or a model's name")
        return path
    if config.family == "nano":
        path = EMBEDDED / f"{config.name}.safetensors"
        if not path.is_file():
            raise InputError(f"the embedded weights of '{config.name}' are not part of this installation: '{path}'")
        return path
    if config.checkpoint is None:
        raise InputError(
            f"there are no official weights for '{config.name}': give --weights FILE, "
            "or --weights glip-t-a for GLIP-T (A)'s backbone and tower with a fresh class layer"
        )
    return download(config)


def download(config: DetectorConfig) -> Path:
    """The official checkpoint in the hub's cache, downloaded on first use.

    Raises:
        InputError: no network; the message says what to download by hand.
    """
    from huggingface_hub import hf_hub_download

    assert config.checkpoint is not None
    try:
        return Path(hf_hub_download(HUB_REPOSITORY, config.checkpoint))
    except Exception as error:  # what a lost connection raises depends on huggingface_hub's version
        raise InputError(
            f"the weights of '{config.name}' could not be downloaded ({type(error).__name__}): fetch "
            f"https://huggingface.co/{HUB_REPOSITORY}/resolve/main/{config.checkpoint} by hand "
            f"and pass --weights PATH/TO/{config.checkpoint}"
        ) from error
