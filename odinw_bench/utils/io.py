"""Files: written completely or not at all, read with limits; canonical JSON and its hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from glip_core.errors import InputError
from odinw_bench.utils.scratch import scratch_file
from odinw_bench.utils.text import shorten_text

MAX_JSON_BYTES = 1 << 30
"""Largest JSON file that is read: COCO's own 118,000 training images take 470 MB."""


MAX_YAML_BYTES = 1 << 20

_EXPANSION = 4
"""Values and characters that a byte of YAML may stand for: one without references stands for less than two."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it fails.

    Readers therefore see the old file or the new one, never half of one. A process that is killed leaves the
    temporary file behind; see :func:`odinw_bench.utils.scratch.clear_scratch`.

    Args:
        path: the file to write; its folder is made when missing.

    Yields:
        the path to write to, in the same folder (a rename across file systems would not be atomic).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_file(path) as temporary:
        yield temporary
        temporary.replace(path)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file atomically, with the line ends as they are on every system."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, data: Any, *, indent: int | None = 1) -> None:
    """Write a JSON file atomically.

    Raises:
        ValueError: ``data`` holds a NaN or an infinity, which JSON does not know.
    """
    write_bytes(path, json_bytes(data, indent=indent))


def json_bytes(data: Any, *, indent: int | None = 1) -> bytes:
    """The bytes of a JSON file, UTF-8.

    Raises:
        ValueError: ``data`` holds a NaN or an infinity, which JSON does not know.
    """
    return (json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def canonical_json(data: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces. What digests and hashes are taken of."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path | str, *, what: str = "file", limit: int = MAX_JSON_BYTES) -> bytes:
    """The bytes of a file of the user's.

    Args:
        path: the file.
        what: how an error calls it, for example ``annotation file``.
        limit: the most bytes that are read.

    Raises:
        InputError: it is missing, a folder, too large or not readable.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > limit:
            raise InputError(f"{what} '{path}' has {size:,} bytes; at most {limit:,} are read")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{what} '{path}' not found") from error
    except IsADirectoryError as error:
        raise InputError(f"{what} '{path}' is a folder; a file is needed") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} '{path}' cannot be read: {error}") from error


def parse_json(data: bytes, path: Path | str, *, what: str = "file") -> Any:
    """JSON out of the bytes of a file.

    Raises:
        InputError: the bytes are not UTF-8 or not JSON; the message names the file, line and column.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{what} '{path}' is not JSON: it is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise InputError(f"{what} '{path}' is nested too deeply to be read") from error
    except ValueError as error:
        raise InputError(f"{what} '{path}' is not JSON: {error}") from error


def read_yaml(path: Path | str, *, what: str = "file", limit: int = MAX_YAML_BYTES) -> Any:
    """Read a YAML file of the user's; only plain values, never objects.

    Raises:
        InputError: it is missing, too large, also with its references (``*name``) written out, or not YAML.
    """
    import yaml

    data = read_bytes(path, what=what, limit=limit)
    try:
        loader = yaml.SafeLoader(data)
        try:
            node = loader.get_single_node()
            if node is not None and _expanded(node, _EXPANSION * limit, {}) > _EXPANSION * limit:
                raise InputError(f"{what} '{path}' repeats itself by references until it is too large to be read")
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as error:
        raise InputError(f"{what} '{path}' is nested too deeply to be read") from error
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} '{path}' is not YAML: {shorten_text(str(error))}") from error


def _expanded(node: Any, limit: int, known: dict[int, int]) -> int:
    """Values and characters of a node of YAML where each reference is written out; above ``limit`` if it holds itself.

    Args:
        node: as the parser gives it; one that is referred to is one object.
        limit: see above.
        known: the sizes found so far, by ``id`` of the node.
    """
    if id(node) not in known:
        known[id(node)] = limit + 1  # as long as it is looked into
        parts = [node.value] if isinstance(node.value, str) else node.value
        size = 1
        for part in parts:
            for one in part if isinstance(part, tuple) else (part,):  # a key and its value
                size += len(one) if isinstance(one, str) else _expanded(one, limit, known)
        known[id(node)] = size
    return known[id(node)]


def read_json(path: Path | str, *, what: str = "file", limit: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file of the user's.

    Raises:
        InputError: it is missing, too large or not JSON.
    """
    return parse_json(read_bytes(path, what=what, limit=limit), path, what=what)


def is_file_name(name: str) -> bool:
    """Whether a text is the plain name of one visible file, on every system."""
    return bool(re.fullmatch(r"\w[\w+.-]{0,199}", name)) and not name.endswith(".")


def stays_inside(name: str) -> bool:
    """Whether a relative path names something inside its folder, whichever system's paths it was written with."""
    windows = PureWindowsPath(name)
    return not (PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts or "\0" in name)
