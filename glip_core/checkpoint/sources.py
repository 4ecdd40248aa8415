"""Where weights come from: a file, the embedded models, the hub."""

from __future__ import annotations

from pathlib import Path

from glip_core.config import PRESETS, DetectorConfig
from glip_core.errors import InputError

HUB_REPOSITORY = "GLIPModel/GLIP"
EMBEDDED = Path(__file__).parents[1] / "data"


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
