"""How much may be kept of what is frozen, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CacheSettings:
    """The budget of frozen features; it changes the time of a run, never its numbers.

    Attributes:
        memory: bytes in memory at most, of each worker.
        disk: bytes on disk at most, beyond memory and for other runs; 0: none.
        folder: of the disk cache; None: below the user's cache folder.
    """

    memory: int = 2 << 30
    disk: int = 0
    folder: Path | None = None


MEMORY_ONLY = CacheSettings()
"""The default."""
