"""Where a checkpoint's files are: a folder, or a repository on the hub that is downloaded once."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from glip_core.errors import InputError, nearest
from glip_core.files import file_sha256
from odinw_bench.models.hub.checkpoints import FAMILIES, HUB_PREFIX, Checkpoint
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.text import shorten_text
from odinw_bench.utils.versions import PathVersion, path_version

_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("model.safetensors", _INDEX)
_READ = ["*.json", "*.txt", "*.safetensors"]
_CONFIG = "config.json"
_PICTURES = ("preprocessor_config.json", "processor_config.json")
_WORDS = ("tokenizer.json", "vocab.txt", "vocab.json")
_EVALUATION_FILES = (
    _CONFIG,
    _INDEX,
    *_PICTURES,
    *_WORDS,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


@contextmanager
def no_advice_on_width() -> Iterator[None]:
    """While a network is made: without a warning about a CUDA kernel that has other needs than the one that is used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You'd better set embed_dim")
        yield


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """While transformers reads a checkpoint's files: what it raises about them becomes one line.

    Its own report on weights that do not fit, a table, is left out: that is for the block to say.

    Raises:
        InputError: a file is missing, damaged, or not what the network or processor needs.
    """
    from transformers.utils import logging

    said = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file, or one of something else, may fail in any way
        raise InputError(f"'{folder}' cannot be loaded ({shorten_text(f'{type(error).__name__}: {error}')})") from error
    finally:
        logging.set_verbosity(said)


def checkpoint_of(model: str) -> Checkpoint:
    """What ``hf:OWNER/NAME`` or ``hf:FOLDER`` stands for; of a repository its configuration alone is downloaded.

    Raises:
        InputError: there is no such thing, or it is of a kind that is not supported.
    """
    source = model.removeprefix(HUB_PREFIX)
    return _checkpoint(source, path_version(Path(source) / _CONFIG) if _is_folder(source) else ())


@lru_cache(maxsize=64)
def _checkpoint(source: str, _version: PathVersion) -> Checkpoint:
    kind = model_type(source)
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(
            f"'{HUB_PREFIX}{source}' is a model of the type '{kind}'{nearest(kind, FAMILIES)}; supported: {known}"
        )
    words = _tidy(Path(source).name) if _is_folder(source) else _tidy(source)
    return Checkpoint(f"hf-{words}", source, kind, source)


def model_type(source: str) -> str:
    """The ``model_type`` of a folder's or repository's configuration, which alone is downloaded.

    Raises:
        InputError: there is no such thing.
    """
    return shorten_text(str(_config(source).get("model_type")), 40)


def weights_file(source: str) -> Path:
    """The weights' file of a folder or repository; beside it lie configuration and tokenizer.

    Raises:
        InputError: there is none, or it cannot be downloaded.
    """
    folder = _folder(source, _READ)
    for file in _WEIGHTS:
        if (folder / file).is_file():
            return folder / file
    raise InputError(f"'{folder}' holds no model.safetensors")


def check_processor(folder: Path, *, has_text: bool) -> None:
    """Check that the files of a processor are there; transformers makes a tokenizer that knows no word of none.

    Raises:
        InputError: one is not.
    """
    for names in (_PICTURES, _WORDS) if has_text else (_PICTURES,):
        if not any((folder / name).is_file() for name in names):
            raise InputError(f"'{folder}' holds no {' or '.join(names)}")


def is_whole(file: Path) -> bool:
    """Whether what :func:`weights_file` gave holds all weights; else it lists the files that do."""
    return file.name != _INDEX


def identify_files(source: str) -> str:
    """A hash of all files that the detections of a checkpoint depend on: weights, configuration, tokenizer, processor.

    Raises:
        InputError: see :func:`weights_file`.
    """
    folder = weights_file(source).parent
    files = [*sorted(folder.glob("*.safetensors")), *(folder / name for name in _EVALUATION_FILES)]
    return sha256_bytes(canonical_json({file.name: file_sha256(file) for file in files if file.is_file()}))


def _config(source: str) -> dict[str, Any]:
    file = _folder(source, [_CONFIG]) / _CONFIG
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{source}' holds no readable {_CONFIG} ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise InputError(f"'{source}': {_CONFIG} is no mapping")
    return found


def _is_folder(source: str) -> bool:
    try:
        return Path(source).expanduser().is_dir()
    except (OSError, RuntimeError):  # a name that is too long, a user who has no home here
        return False


def _folder(source: str, patterns: Sequence[str]) -> Path:
    if _is_folder(source):
        return Path(source).expanduser()
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise InputError(f"weights folder '{shorten_text(source)}' not found; give one, or OWNER/NAME on the hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(patterns)))
    except Exception as error:  # what a lost connection raises depends on huggingface_hub's version
        raise InputError(
            f"'{source}' could not be downloaded ({type(error).__name__}): fetch "
            f"https://huggingface.co/{source} by hand and pass its folder: --weights FOLDER, or --model hf:FOLDER"
        ) from error


def _tidy(text: str) -> str:
    """Lower-case letters, digits and single hyphens: what folders' names are made of."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
