"""A tuned prompt or adapter on top of its base: the folder of kilobytes that is shared, and how it is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from glip_core import tuning
from glip_core.checkpoint import read_state_dict
from glip_core.detector import GLIP
from glip_core.errors import InputError
from glip_core.prompt import Prompt

CONFIG = "tuned_config.json"
"""What a folder's tuned parts are of: ``base_model``, ``base_weights_sha256``, ``mode``, ``adapter``, ``prompt``."""

TENSORS = "tuned.safetensors"


def load_tuned(detector: GLIP, base_sha256: str | None, name: str | Path, **kwargs: Any) -> Prompt:
    """Put the tuned parts of a folder, or of a repository on the hub, into their base.

    Args:
        detector: the base.
        base_sha256: identity of its weights; None where they were trained further.
        name: the folder or repository.
        kwargs: of the hub.

    Returns:
        the prompt that was tuned.

    Raises:
        InputError: there is no such, it is damaged, or of another base; the detector is as it was.
    """
    config_path, tensors_path = _find(name, CONFIG, kwargs), _find(name, TENSORS, kwargs)
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
        words, adapter = config["prompt"], dict(config["adapter"] or {})
        spans = tuple((int(start), int(end)) for start, end in words["spans"])
        prompt = Prompt(str(words["caption"]), spans, tuple(map(str, words["names"])))
        base, identity, mode = str(config["base_model"]), str(config["base_weights_sha256"]), str(config["mode"])
        settings = SimpleNamespace(
            adapter_rank=int(adapter.get("adapter_rank", 0)),
            adapter_alpha=float(adapter.get("adapter_alpha", 0)),
            adapter_where=str(adapter.get("adapter_where", "")),
        )
        if not math.isfinite(settings.adapter_alpha):
            raise ValueError(f"adapter_alpha is {settings.adapter_alpha}")
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{config_path}' is damaged ({error}); write it again with odinw-bench export hub") from None
    if base != detector.config.name or identity != base_sha256:
        raise InputError(
            f"'{name}' was tuned from the weights of '{base}' with SHA-256 {identity[:12]}..., not from these "
            f"('{detector.config.name}', {'trained further' if base_sha256 is None else base_sha256[:12] + '...'}): "
            "load that base first"
        )
    chosen = tuning.get_mode(mode).configured(settings)
    detector.language.tokenize(prompt)  # for its error: longer than the model reads
    tuning.restore(detector, chosen, prompt, read_state_dict(tensors_path), source=str(tensors_path))
    return prompt


def _find(name: str | Path, file: str, kwargs: dict[str, Any]) -> Path:
    """A file of a folder here, or of a repository on the hub."""
    if Path(name).is_dir():
        path = Path(name) / file
        if not path.is_file():
            raise InputError(f"'{name}' holds no {file}; odinw-bench export hub writes such folders")
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(str(name), file, **kwargs))
    except Exception as error:  # what a lost connection raises depends on huggingface_hub's version
        raise InputError(
            f"'{name}' is no folder, and {file} could not be fetched from the hub ({type(error).__name__})"
        ) from error
