"""What the pictures of a split are, as a hash: of their files' bytes, read once and remembered."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.coco import Split
from odinw_bench.utils.io import canonical_json, read_json, sha256_bytes, write_json

_SETTLED_NS = 2_000_000_000
"""A file that was changed so recently may be changed again within one tick of its file system's clock."""


def pictures_sha256(split: Split) -> str | None:
    """SHA-256 over the names and the hashes of a split's pictures.

    A file is read once: its hash is remembered by its path, size, inode and times of change in
    ``$XDG_CACHE_HOME/odinw-bench/pictures`` (by default below ``~/.cache``). A picture that is missing counts as such.

    Args:
        split: the split, or a subset of one; the order of its images does not matter.

    Returns:
        64 hex digits; None where the pictures are no files: they are drawn, and their annotations say how.
    """
    if split.folder is None:
        return None
    hashes = hashes_of(split)
    names = sorted(split.file_name(image_id) for image_id in split.image_ids)
    return sha256_bytes(canonical_json([[name, hashes[name]] for name in names]))


def hashes_of(split: Split) -> dict[str, str | None]:
    """The hash of each picture of a split by its file name; None where it is missing, or no file."""
    names = [split.file_name(image_id) for image_id in split.image_ids]
    if split.folder is None:
        return dict.fromkeys(names)
    memory = _Memory(split.folder)
    hashes = {name: memory.sha256(name) for name in names}
    memory.save()
    return hashes


class _Memory:
    """The hashes of one folder's files.

    Args:
        folder: of pictures.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        base = os.environ.get("XDG_CACHE_HOME")
        cache = (Path(base) if base else Path.home() / ".cache") / "odinw-bench" / "pictures"
        self.path = cache / f"{sha256_bytes(os.fsencode(self.folder))[:32]}.json"
        self.known = self._read()
        self.learnt: dict[str, list[Any]] = {}

    def sha256(self, name: str) -> str | None:
        """Hash of a file; None where it is missing, or no file."""
        path = self.folder / name
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                return None
            seen = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev]
            entry = self.known.get(name)
            if isinstance(entry, list) and entry[:-1] == seen and isinstance(entry[-1], str):
                return entry[-1]
            digest = file_sha256(path)
        except OSError:
            return None
        if time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) > _SETTLED_NS:
            self.learnt[name] = [*seen, digest]
        return digest

    def save(self) -> None:
        """Keep what was learnt, with what other processes learnt meanwhile; without effect where that cannot be."""
        if not self.learnt:
            return
        with contextlib.suppress(OSError):
            write_json(self.path, {"folder": str(self.folder), "files": self._read() | self.learnt}, indent=None)

    def _read(self) -> dict[str, Any]:
        try:
            content = read_json(self.path)
        except InputError:
            return {}
        files = content.get("files") if isinstance(content, dict) else None
        return files if isinstance(files, dict) else {}
