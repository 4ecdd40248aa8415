"""Getting the data of a task: fetched, unpacked aside, moved into place whole, and a manifest written last."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from glip_core.errors import InputError
from odinw_bench.datasets.download import hub, roboflow_export
from odinw_bench.datasets.download.archive import unpack
from odinw_bench.datasets.download.manifest import FOLDER, damage, manifest_path, read_manifest, write_manifest
from odinw_bench.datasets.task import SplitPaths, Task
from odinw_bench.utils.folders import discard
from odinw_bench.utils.locks import BusyError, exclusive

SourceName = Literal["auto", "hub", "roboflow"]
SOURCES: tuple[str, ...] = get_args(SourceName)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Downloaded:
    """What became of one task.

    Attributes:
        task: its short name.
        outcome: ``downloaded``, ``already here`` (its manifest agrees), or ``found`` (complete, of unknown origin).
        folder: where its data lie.
    """

    task: str
    outcome: Literal["downloaded", "already here", "found"]
    folder: Path


def download_task(task: Task, data_root: Path, source: SourceName = "auto", say: Say = lambda _: None) -> Downloaded:
    """Bring the data of a task below the data root.

    What is half finished lies in ``.odinw-bench/`` there and is never taken for data; the same call resumes with
    it. Data sets that share a zip are installed together.

    Args:
        task: a task of the official suites.
        data_root: the folder that the tasks' paths are relative to; made where it is missing.
        source: ``hub``, ``roboflow``, or ``auto``: the hub where the task has a zip there.
        say: called with a line of text at each step.

    Raises:
        InputError: the task names no such source, its folder is there but incomplete or damaged, another process
            is at work on it, or the download failed (see :mod:`odinw_bench.datasets.download.hub`).
    """
    chosen = _choose(task, source)
    unit = _unit(task, chosen)
    work = data_root / FOLDER
    work.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(manifest_path(data_root, unit).with_suffix(".lock")):
            present = _present(task, data_root, unit)
            if present is not None:
                return Downloaded(task.name, present, data_root / unit)
            facts, staged = (_from_hub if chosen == "hub" else _from_roboflow)(task, work, say)
            (data_root / unit).parent.mkdir(parents=True, exist_ok=True)
            (staged / unit).rename(data_root / unit)
            _finish(data_root, unit, facts)
            discard(staged)
            return Downloaded(task.name, "downloaded", data_root / unit)
    except BusyError as error:
        raise InputError(f"task '{task.name}': {error}") from error


def _choose(task: Task, source: SourceName) -> Literal["hub", "roboflow"]:
    if task.source.kind != "official":
        raise InputError(f"task '{task.name}' of suite '{task.suite}' needs no download")
    if source not in SOURCES:
        raise InputError(f"--source must be one of {', '.join(SOURCES)}, not '{source}'")
    if source == "hub" and task.source.hub is None:
        raise InputError(f"task '{task.name}' names no zip on the hub")
    if source == "hub" or (source == "auto" and task.source.hub is not None):
        return "hub"
    return "roboflow"


def _unit(task: Task, chosen: Literal["hub", "roboflow"]) -> str:
    """The folder, relative to the data root, that is moved into place as a whole."""
    parents = [PurePosixPath(paths.annotations).parent.parts for paths in task.splits.values()]
    if chosen == "hub":
        return parents[0][0]
    shared = [same[0] for same in zip(*parents, strict=False) if len(set(same)) == 1]
    return "/".join(shared)


def _splits_of(task: Task, unit: str) -> Sequence[SplitPaths]:
    """The splits that lie in a unit; some tasks use a file of elsewhere as well."""
    return [paths for paths in task.splits.values() if paths.annotations.startswith(f"{unit}/")]


def _lacking(task: Task, root: Path, unit: str) -> list[str]:
    wanted = _splits_of(task, unit)
    files = [paths.annotations for paths in wanted if not (root / paths.annotations).is_file()]
    return files + [paths.images for paths in wanted if not (root / paths.images).is_dir()]


def _present(task: Task, root: Path, unit: str) -> Literal["already here", "found"] | None:
    if not (root / unit).exists():
        return None
    manifest = read_manifest(root, unit)
    wrong = (
        damage(root, manifest)
        if manifest is not None
        else [f"'{name}' is missing" for name in _lacking(task, root, unit)]
    )
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"'{root / unit}' is there but not whole: {wrong[0]}{more}; move it away and download again")
    if manifest is None:
        _finish(root, unit, {"kind": "found"})
        return "found"
    return "already here"


def _finish(root: Path, unit: str, facts: dict[str, Any]) -> None:
    files = (path.relative_to(root) for path in (root / unit).rglob("*") if path.is_file())
    write_manifest(root, unit, facts, files)


def _from_hub(task: Task, work: Path, say: Say) -> tuple[dict[str, Any], Path]:
    file = task.source.hub
    assert file is not None  # as chosen
    say(f"{task.name}: fetching {file.url}")
    fetched = hub.fetch(file, work / "downloads")
    staged = _fresh(work / f"unpacking-{PurePosixPath(file.file).stem}")
    say(f"{task.name}: unpacking {fetched.path.name}")
    unpack(fetched.path, staged)
    whole = _under_unit(task, staged, _unit(task, "hub"), fetched.path)
    fetched.path.unlink()
    facts = {"kind": "hub", "repo": file.repo, "file": file.file, "revision": fetched.revision}
    return facts | {"sha256": fetched.sha256}, whole


def _under_unit(task: Task, staged: Path, unit: str, archive: Path) -> Path:
    """The folder that the unit lies in: the zip holds it, or it holds what belongs into it."""
    if not _lacking(task, staged, unit):
        return staged
    around = _fresh(staged.with_name(f"{staged.name}-around"))
    around.mkdir()
    staged.rename(around / unit)
    lacking = _lacking(task, around, unit)
    if lacking:
        discard(around)
        archive.unlink()
        raise InputError(f"the zip of task '{task.name}' does not hold '{lacking[0]}'")
    return around


def _from_roboflow(task: Task, work: Path, say: Say) -> tuple[dict[str, Any], Path]:
    source = task.source.roboflow
    if source is not None:
        say(f"{task.name}: fetching {source.workspace}/{source.project} from Roboflow")
    export, staged = _fresh(work / f"export-{task.name}"), _fresh(work / f"unpacking-{task.name}")
    roboflow_export.fetch(task, export)
    roboflow_export.to_official(task, export, staged)
    discard(export)
    assert source is not None  # else fetching had failed
    facts = {"kind": "roboflow", "workspace": source.workspace, "project": source.project, "version": source.version}
    return facts, staged


def _fresh(folder: Path) -> Path:
    """A folder name with nothing there: what an interrupted download left is removed; if it cannot be, another name."""
    return folder if discard(folder) else folder.with_name(f"{folder.name}-{secrets.token_hex(4)}")
