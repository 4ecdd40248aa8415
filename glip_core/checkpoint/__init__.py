"""Weights: official checkpoints and their names, safetensors, the hub."""

from glip_core.checkpoint.official import (
    EMBEDDED,
    HUB_REPOSITORY,
    download,
    find_weights,
    load_official_state_dict,
    named_tensors,
    read_state_dict,
    strip_prefix,
)
from glip_core.files import file_sha256

__all__ = [
    "EMBEDDED",
    "HUB_REPOSITORY",
    "download",
    "file_sha256",
    "find_weights",
    "load_official_state_dict",
    "named_tensors",
    "read_state_dict",
    "strip_prefix",
]
