"""What a long run leaves behind while it goes on, so that a killed one need not begin again."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from odinw_bench.utils.locks import Held

OVERHEAD = 0.05
"""Share of a run's time that saving may take."""

_TRAILER = 64
"""Bytes at the end of the file: the SHA-256 of what is before them, in hex. Readers of zip files pass over them."""

_log = logging.getLogger(__name__)


class Resume:
    """The state of one unfinished run, in one file that is replaced whole and carries its checksum.

    Args:
        path: the file; None keeps nothing.
        identity: of the run; a state of another one is not taken up.
        overhead: share of the time that saving may take. A state of kilobytes is thus kept after every epoch, one
            of gigabytes now and then.
        read_only: take a state up, keep none.
        held: the lock under which the run is done; checked before the file is replaced or removed.
    """

    def __init__(
        self,
        path: Path | None = None,
        identity: str = "",
        *,
        overhead: float = OVERHEAD,
        read_only: bool = False,
        held: Held | None = None,
    ) -> None:
        self.read_only = read_only
        self.path, self.identity, self.overhead, self.held = path, identity, overhead, held
        self._not_before = 0.0

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None where there is none that can be used. A damaged one is noted."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as stream:
                if not _is_whole(stream):
                    _log.warning("'%s' is damaged: the run starts over", self.path)
                    return None
                stream.seek(0)
                content = torch.load(stream, map_location="cpu", weights_only=True)
        except Exception:  # whole, but of another version of the program
            return None
        if not isinstance(content, dict) or content.get("identity") != self.identity:
            return None
        return dict(content["state"])

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save a state, unless the last saving was too costly and too recent.

        Raises:
            LockLostError: another process has the run now.
        """
        if self.path is None or self.read_only or time.perf_counter() < self._not_before:
            return
        started = time.perf_counter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary.open("wb+") as stream:  # given a path, torch has no word for a full disk
            torch.save({"identity": self.identity, "state": state()}, stream)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0, os.SEEK_END)
            stream.write(digest.encode())
        self._check()
        self._temporary.replace(self.path)
        ended = time.perf_counter()
        self._not_before = ended + (ended - started) * (1 / self.overhead - 1)

    def clear(self) -> None:
        """Forget the state: the run is over.

        Raises:
            LockLostError: another process has the run now.
        """
        if self.path is not None and not self.read_only:
            self._check()
            self.path.unlink(missing_ok=True)
            self._temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        if self.held is not None:
            self.held.check()

    @property
    def _temporary(self) -> Path:
        """One name for each holder, whose next saving overwrites it; the next holder clears it."""
        assert self.path is not None
        owner = "" if self.held is None else f".{self.held.token}"
        return self.path.with_name(f"{self.path.name}{owner}.tmp")


def _is_whole(stream: IO[bytes]) -> bool:
    """Whether a file ends with the checksum of what is before it."""
    size = stream.seek(0, os.SEEK_END) - _TRAILER
    if size < 0:
        return False
    stream.seek(size)
    stated = stream.read(_TRAILER)
    stream.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (piece := stream.read(min(size, 1 << 20))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest().encode() == stated
