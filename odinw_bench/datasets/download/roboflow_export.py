"""Roboflow exports through its own package, brought to the official layout."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, read_annotations
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import write_json

KEY_VARIABLE = "ROBOFLOW_API_KEY"
EXPORTED = "_annotations.coco.json"
_FOLDERS = ("train", "valid", "test")


def fetch(task: Task, folder: Path) -> None:
    """Download the COCO export of a task's Roboflow version into a folder.

    The key is that of the environment variable ``ROBOFLOW_API_KEY``, else that of ``roboflow login``; it appears
    in no message. The server is Roboflow's, or that of the variable ``API_URL``.

    Args:
        task: its source names workspace, project and version.
        folder: where to; must not exist.

    Raises:
        InputError: the task names no project or version, there is no key, or Roboflow refuses.
    """
    source = task.source.roboflow
    if source is None:
        raise InputError(f"task '{task.name}' names no Roboflow project; its file is the place to say one")
    if source.version is None:
        raise InputError(
            f"the version of {source.workspace}/{source.project} that task '{task.name}' was made from is not known; "
            "say 'version' under source.roboflow in the task file"
        )
    where = f"{source.workspace}/{source.project}/{source.version}"
    with _asking(where) as key:
        from roboflow import Roboflow

        project = Roboflow(api_key=key).workspace(source.workspace).project(source.project)
        project.version(source.version).download("coco", location=str(folder), overwrite=True)


def fetch_newest(workspace: str, names: Set[str], folder: Path) -> dict[str, Any]:
    """Download the COCO export of the newest version of a workspace's project; see :func:`fetch`.

    Args:
        workspace: its name in addresses.
        names: what the project may be called.
        folder: where to; must not exist.

    Returns:
        where it came from, as a manifest holds it.

    Raises:
        InputError: there is no key, Roboflow refuses, or the workspace has no such project.
    """
    with _asking(f"{workspace}/{min(names, key=len)}") as key:
        from roboflow import Roboflow

        opened = Roboflow(api_key=key).workspace(workspace)
        found = [one for one in opened.project_list if names & {str(one.get("name")), _last(one.get("id"))}]
        if not found:
            raise InputError(f"Roboflow's workspace '{workspace}' has no project called {' or '.join(sorted(names))}")
        project = opened.project(_last(found[0]["id"]))
        versions = {int(_last(one.id)): one for one in project.versions() if _last(one.id).isdecimal()}
        if not versions:
            raise InputError(f"Roboflow's project '{found[0]['id']}' has no version to export")
        newest = max(versions)
        versions[newest].download("coco", location=str(folder), overwrite=True)
    return {"kind": "roboflow", "workspace": workspace, "project": _last(found[0]["id"]), "version": newest}


def to_official(task: Task, export: Path, out: Path) -> None:
    """Copy the splits of an export to where the official task has them, under the task's classes.

    The background category that exports begin with is left out; the classes are found by their names.

    Args:
        task: its splits must be those of an export.
        export: the folder that was downloaded.
        out: stands for the data root.

    Raises:
        InputError: a split or class of the task is not in the export.
    """
    for paths in dict.fromkeys(task.splits.values()):
        place = PurePosixPath(paths.images).name
        if place not in _FOLDERS:
            raise InputError(
                f"a Roboflow export has train, valid and test; task '{task.name}' needs '{paths.images}' as well: "
                "download it from the hub (--source hub)"
            )
        source = export / place
        if not (source / EXPORTED).is_file():
            raise InputError(f"the export of task '{task.name}' has no '{place}/{EXPORTED}'")
        annotations, _ = read_annotations(source / EXPORTED)
        write_json(out / paths.annotations, _renumbered(task, annotations, str(source / EXPORTED)), indent=None)
        for image in annotations["images"]:
            target = out / paths.images / image["file_name"]
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.move(source / image["file_name"], target)
            except OSError as error:
                raise InputError(f"the export of task '{task.name}' lacks the picture: {error}") from error


def _renumbered(task: Task, annotations: Annotations, where: str) -> Annotations:
    """The annotations with the task's category ids."""
    ids = {entry.name.casefold(): entry.category_id for entry in task.classes}
    used = {box["category_id"] for box in annotations["annotations"]}
    new = {}
    for category in annotations["categories"]:
        if category["name"].casefold() in ids:
            new[category["id"]] = ids[category["name"].casefold()]
        elif category["id"] in used:
            raise InputError(f"{where} has boxes of '{category['name']}', which is no class of task '{task.name}'")
    return {
        **annotations,
        "categories": [{"id": entry.category_id, "name": entry.name} for entry in task.classes],
        "annotations": [{**box, "category_id": new[box["category_id"]]} for box in annotations["annotations"]],
    }


def _key() -> str:
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        with _silent():
            from roboflow.config import load_roboflow_api_key

            key = load_roboflow_api_key()
    if not key:
        raise InputError(f"Roboflow needs a key: set {KEY_VARIABLE}, or run 'roboflow login' once")
    return str(key)


def _last(path: Any) -> str:
    """The last part of Roboflow's ids, which are paths."""
    return str(path).rpartition("/")[2]


@contextlib.contextmanager
def _asking(where: str) -> Iterator[str]:
    """The key, for what is asked of Roboflow while the block runs; its failures become one line without the key."""
    key = _key()
    try:
        with _silent():
            yield key
    except InputError:
        raise
    except Exception as error:  # the package raises whatever its parts do, bare Exception included
        reason = " ".join(str(error).split()).replace(key, "***")[:300] or type(error).__name__
        raise InputError(f"Roboflow did not give {where}: {reason}") from None  # the cause may hold the key


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The package prints links that hold the key."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
