"""Grids that have begun: a file in the results folder names the runs of each, for whoever looks on.

It is there as long as the grid's process works. A killed grid leaves it; the same grid takes its place when it goes on.
Nothing but ``odinw-bench watch`` reads it, and what became of a run is read from its record.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.utils.io import canonical_json, read_json, sha256_bytes, stays_inside, write_json

_NAME = ".grid.{}.json"


@dataclass(frozen=True)
class Begun:
    """A grid that works, or did when its process was killed.

    Attributes:
        folders: of the runs that are to be done, relative to the results.
        before: how many further ones were done before.
        force: runs with a record are done again.
        at: when it began, seconds of the results folder's clock.
    """

    folders: tuple[str, ...]
    before: int
    force: bool
    at: float


@contextmanager
def begun(results: Path, folders: Sequence[Path], *, before: int = 0, force: bool = False) -> Iterator[None]:
    """While the block runs, the results folder says which runs are to be done; where it cannot, nothing is said.

    Args:
        results: the folder.
        folders: of the records to come, below it.
        before: how many further runs of the grid were done before.
        force: runs with a record are done again.
    """
    inside = sorted(folder.relative_to(results).as_posix() for folder in folders)
    if not inside:
        yield
        return
    path, token = results / _NAME.format(sha256_bytes(canonical_json(inside))[:16]), secrets.token_hex(8)
    with contextlib.suppress(OSError):
        write_json(path, {"folders": inside, "before": before, "force": force, "token": token}, indent=None)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, InputError):
            if read_json(path).get("token") == token:  # else the same grid runs in another process, too
                path.unlink()


def find_begun(results: Path) -> list[Begun]:
    """The grids that a results folder names, the first to begin first; a file that cannot be read is passed over."""
    found = []
    for path in results.glob(_NAME.format("*")):
        try:
            at = path.stat().st_mtime
            content = read_json(path)
            folders, before = tuple(map(str, content["folders"])), int(content["before"])
            one = Begun(folders, before, bool(content["force"]), at)
        except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if all(map(stays_inside, folders)):
            found.append(one)
    return sorted(found, key=lambda one: (one.at, one.folders))


@dataclass(frozen=True)
class Progress:
    """What became of a grid's runs so far.

    Attributes:
        runs: all, with those that were done before.
        done, failed, running, waiting: how many; a record from before the grid began is neither done nor failed.
    """

    runs: int
    done: int
    failed: int
    running: int
    waiting: int

    @classmethod
    def of(cls, grid: Begun, records: dict[str, tuple[float, str]], running: set[str]) -> Progress:
        """Of a grid.

        Args:
            grid: which.
            records: by folder relative to the results: when each record was written, and its status.
            running: folders of the runs whose process lives.
        """
        counts = {"done": 0, "failed": 0, "running": 0, "waiting": 0}
        for folder in grid.folders:
            at, status = records.get(folder, (0.0, ""))
            if folder in running:
                counts["running"] += 1
            elif (status == "done" and not grid.force) or (status and at >= grid.at):
                counts[status] += 1
            else:
                counts["waiting"] += 1
        counts["done"] += grid.before
        return cls(grid.before + len(grid.folders), **counts)

    @property
    def text(self) -> str:
        """In words."""
        parts = [f"{self.done} of {self.runs} runs done"]
        parts += [f"{count} {what}" for count, what in ((self.failed, "failed"), (self.waiting, "waiting")) if count]
        stalled = self.waiting and not self.running
        return ", ".join(parts) + (" and none running: its process may be gone" if stalled else "")
