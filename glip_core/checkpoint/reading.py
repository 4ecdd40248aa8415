"""Reading checkpoint files: safetensors and torch's pickles, never such that code in a file can run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from glip_core.errors import InputError

_SCALARS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"


def _numpy_scalars() -> list[Any]:
    """What a pickle of a numpy number calls when it is loaded; official fine-tuned files hold results as such."""
    scalar = np.float64(0).__reduce__()[0]
    # The function has another module in files that numpy 1 wrote.
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*names, np.dtype, *(type(np.dtype(name)) for name in _SCALARS.split())]


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file under official names.

    Args:
        path: ``.safetensors``, or a ``.pth``/``.pt``/``.bin`` file of torch, loaded with ``weights_only=True``.
            Official files keep the tensors under ``"model"``; what training adds beside them (optimizer, scheduler,
            iteration, evaluation results, numpy scalars among them) is ignored. A ``module.`` prefix is dropped
            where all names have it.

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
            with torch.serialization.safe_globals(_numpy_scalars()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint '{path}' holds more than tensors and is not loaded, since that could run code in it; "
            "save its state_dict alone, or as .safetensors"
        ) from error
    except Exception as error:  # a damaged pickle may fail in any way
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


def check_checkpoint(path: str | Path) -> None:
    """Check that a checkpoint can be read, without reading all of its tensors where its format allows.

    Raises:
        InputError: see :func:`read_state_dict`.
    """
    if Path(path).suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as opened:
                if opened.keys():
                    return
        except Exception:
            pass
    read_state_dict(path)


def strip_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the ``module.`` that data-parallel training puts before every name, if all names have it."""
    if state and all(k.startswith("module.") for k in state):
        return {k.removeprefix("module."): v for k, v in state.items()}
    return dict(state)
