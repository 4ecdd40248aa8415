"""Frozen features on disk, shared by runs and processes: safetensors files named by what they were computed from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from odinw_bench.engine.cache_settings import CacheSettings
from odinw_bench.engine.features import FeatureCache
from odinw_bench.models import Features, Packed

_ENDING = ".safetensors"
_UNFINISHED = ".part"
_ABANDONED = 3600.0
"""Seconds after which a file that is still unfinished has no writer: writing one takes a moment."""

_log = logging.getLogger(__name__)


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/odinw-bench/features``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "odinw-bench" / "features"


def make_cache(settings: CacheSettings) -> FeatureCache:
    """The cache of one run."""
    if settings.disk <= 0:
        return FeatureCache(settings.memory)
    return FeatureCache(settings.memory, FeatureStore(settings.folder or default_folder(), settings.disk))


class FeatureStore:
    """A folder of features; the longest unused go when it grows beyond its budget.

    Values come back bit by bit as they were put in, which a checksum in each file assures. A file that another
    process is writing, or that was damaged, counts as absent; of a damaged one a warning is logged.

    Args:
        folder: made when the first features are kept.
        budget: bytes on disk at most; files of other processes count, with some delay.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder, self.budget = folder, budget
        self.hits = 0
        self._held: int | None = None  # counted when first needed
        self._added = 0  # by this process since then

    def get(self, digest: str, unpack: Callable[[Packed], Features]) -> Features | None:
        """The features of a digest, or None.

        Args:
            digest: of all that they were computed from.
            unpack: see :meth:`odinw_bench.models.TunableModel.unpack`.
        """
        path = self._path(digest)
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata["sha256"] != _checksum(tensors, metadata["features"]):
                raise ValueError("its checksum is another")
            found = unpack((tensors, json.loads(metadata["features"])))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            _log.warning("cached features '%s' are damaged and are computed again (%s)", path, error)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used just now
        self.hits += 1
        return found

    def put(self, digest: str, features: Features) -> None:
        """Keep features; where the disk is full or closed to us, silently do without."""
        if features.nbytes > self.budget:
            return
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=_UNFINISHED)
            os.close(handle)
            try:
                tensors, facts = features.pack()
                stated = json.dumps(facts)
                metadata = {"features": stated, "sha256": _checksum(tensors, stated)}
                save_file(tensors, temporary, metadata=metadata)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._account(path.stat().st_size)
        except (OSError, SafetensorError):
            return

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}{_ENDING}"

    def _account(self, added: int) -> None:
        """Count what was added; over the budget, remove the longest unused down to nine tenths of it.

        What other processes add is seen when all is counted again: after every twentieth of the budget of one's own.
        """
        self._added += added
        if self._held is not None and self._added <= self.budget / 20 and self._held + self._added <= self.budget:
            return
        self._added = 0
        self._clear_unfinished()
        files = []
        for path in self.folder.glob(f"*/*{_ENDING}"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                files.append((facts.st_mtime, facts.st_size, path))
        self._held = sum(size for _, size, _ in files)
        if self._held <= self.budget:
            return
        for _, size, path in sorted(files):
            path.unlink(missing_ok=True)
            self._held -= size
            if self._held <= 0.9 * self.budget:
                return

    def _clear_unfinished(self) -> None:
        """Remove what killed processes were writing."""
        for path in self.folder.glob(f"*/*{_UNFINISHED}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()


def _checksum(tensors: dict[str, Tensor], facts: str) -> str:
    """SHA-256 of what a file holds: the facts, and each tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
