"""Disks that are full, and disks that are closed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A small file system of its own, in memory.

    Attributes:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._call("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder))

    def has(self, size: str) -> None:
        """Its size from now on (``300k``); not below what lies on it."""
        self._call("mount", "-o", f"remount,rw,size={size}", str(self.folder))

    def closed(self) -> None:
        """Nothing can be written from now on."""
        self._call("mount", "-o", "remount,ro", str(self.folder))

    def away(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)

    def _call(self, *command: str) -> None:
        subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    """A file system to fill and to close; skipped where this user may not mount one."""
    try:
        made = Disk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        pytest.skip(f"needs the right to mount a file system (root): {str(reason).strip()}")
    yield made
    made.away()
