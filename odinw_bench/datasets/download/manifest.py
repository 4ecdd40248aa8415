"""What a finished download left: every file with its size and hash, written last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.utils.io import parse_json, read_bytes, write_json

FOLDER = ".odinw-bench"
"""Of the data root: manifests, and what a download has not finished yet."""

SCHEMA = 1


def manifest_path(root: Path, unit: str) -> Path:
    """Where the manifest of a unit (a folder that is installed as a whole) lies."""
    return root / FOLDER / f"{unit.replace('/', '--')}.json"


def write_manifest(root: Path, unit: str, source: Mapping[str, Any], files: Iterable[Path]) -> Path:
    """Hash the files of a unit and write them down.

    Args:
        root: the data root.
        unit: its folder below the root.
        source: where it came from.
        files: relative to the root.
    """
    listed = {
        path.as_posix(): {"size": (root / path).stat().st_size, "sha256": file_sha256(root / path)}
        for path in sorted(files)
    }
    target = manifest_path(root, unit)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(target, {"schema": SCHEMA, "unit": unit, "source": dict(source), "finished": finished, "files": listed})
    return target


def read_manifest(root: Path, unit: str) -> dict[str, Any] | None:
    """A unit's manifest; None where there is none, or none that can be read."""
    path = manifest_path(root, unit)
    try:
        content = parse_json(read_bytes(path), path)
    except InputError:
        return None
    good = isinstance(content, dict) and content.get("schema") == SCHEMA and isinstance(content.get("files"), dict)
    return content if good else None


def damage(root: Path, manifest: Mapping[str, Any], *, contents: bool = False) -> list[str]:
    """What no longer is as it was: missing files and other sizes; with ``contents`` other hashes as well."""
    found = []
    for name, facts in manifest["files"].items():
        path = root / name
        if not path.is_file():
            found.append(f"'{name}' is missing")
        elif path.stat().st_size != facts["size"]:
            found.append(f"'{name}' has {path.stat().st_size:,} bytes, not {facts['size']:,}")
        elif contents and file_sha256(path) != facts["sha256"]:
            found.append(f"'{name}' has another content")
    return found
