"""Weights: official checkpoints and their names, safetensors, the hub."""

from glip_core.checkpoint.official import check_values, load_official_state_dict, named_tensors
from glip_core.checkpoint.reading import read_state_dict, strip_prefix
from glip_core.checkpoint.sources import EMBEDDED, HUB_REPOSITORY, download, find_weights
from glip_core.files import file_sha256

__all__ = [
    "EMBEDDED",
    "HUB_REPOSITORY",
    "check_values",
    "download",
    "file_sha256",
    "find_weights",
    "load_official_state_dict",
    "named_tensors",
    "read_state_dict",
    "strip_prefix",
]
