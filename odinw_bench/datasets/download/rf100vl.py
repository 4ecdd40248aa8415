"""Roboflow100-VL through the roboflow package, in the layout and with the category ids of the benchmark's own one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from glip_core.errors import InputError
from odinw_bench.datasets.download import roboflow_export
from odinw_bench.datasets.download.manifest import FOLDER, damage, manifest_path, read_manifest, write_manifest
from odinw_bench.datasets.suites import rf100vl
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import parse_json, read_bytes, write_json
from odinw_bench.utils.locks import BusyError, exclusive

Part = Literal["whole", "given"]
PARTS: Mapping[str, Part] = {"test": "whole", "train": "whole", "10-shot": "given"}
"""What is asked for, and the data sets that hold it: the whole ones, or those of the few-shot track."""

Say = Callable[[str], None]


def parts_of(names: Sequence[str], source: str) -> list[Part]:
    """The data sets that are asked for by ``--part``; None named: the whole ones and those of the few-shot track.

    Raises:
        InputError: there is no such part, or they are wanted from elsewhere than Roboflow.
    """
    if source not in ("auto", "roboflow"):
        raise InputError(f"Roboflow100-VL is at Roboflow alone: --source roboflow, not '{source}'")
    for name in names:
        if name not in PARTS:
            raise InputError(f"--part must be of {', '.join(PARTS)}, not '{name}'")
    return list(dict.fromkeys(PARTS[name] for name in names or PARTS))


def download(task: Task, data_root: Path, part: Part, say: Say = lambda _: None) -> tuple[str, Path]:
    """Bring one data set of the benchmark below the data root.

    Roboflow's newest version of it is taken, as the benchmark's own package does; the manifest says which that was.

    Args:
        task: of one of the benchmark's suites.
        data_root: made where it is missing.
        part: the whole data set, or the one of the few-shot track.
        say: called with a line of text at each step.

    Returns:
        ``downloaded``, ``already here`` or ``found`` (complete, of unknown origin), and the folder.

    Raises:
        InputError: there is no key, Roboflow refuses or has no such project, the folder is there but not whole, or
            another process is at work on it.
    """
    entry = rf100vl.entries()[task.name]
    workspace = rf100vl.full_folder(task.suite) if part == "whole" else rf100vl.given_folder(task.suite)
    unit = f"{workspace}/{entry.folder}"
    work = data_root / FOLDER
    work.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(manifest_path(data_root, unit).with_suffix(".lock")):
            outcome = _present(data_root, unit)
            if outcome is None:
                say(f"{task.name}: fetching {workspace}/{entry.folder} from Roboflow")
                staged = work / f"export-{workspace}-{task.name}"
                shutil.rmtree(staged, ignore_errors=True)
                facts = roboflow_export.fetch_newest(workspace, {entry.folder, *entry.projects}, staged)
                without_background(staged)
                (data_root / unit).parent.mkdir(parents=True, exist_ok=True)
                staged.rename(data_root / unit)
                _finish(data_root, unit, facts)
                outcome = "downloaded"
            elif outcome == "found":
                _finish(data_root, unit, {"kind": "found"})
            return outcome, data_root / unit
    except BusyError as error:
        raise InputError(f"task '{task.name}': {error}") from error


def without_background(folder: Path) -> None:
    """Give the annotations of an export the ids of the benchmark's own package: categories from 0, annotations from 1.

    Roboflow puts a category 0 of the supercategory ``none`` before the real ones; where there is none, the file stays
    as it is.

    Args:
        folder: holds ``{train,valid,test}/_annotations.coco.json``, of which some may be missing.

    Raises:
        InputError: a file is not COCO.
    """
    for split in ("train", "valid", "test"):
        path = folder / split / rf100vl.ANNOTATIONS
        if not path.is_file():
            continue
        content = parse_json(read_bytes(path, what="annotation file"), path, what="annotation file")
        categories = content.get("categories") if isinstance(content, Mapping) else None
        if not isinstance(categories, list) or not categories or not isinstance(content.get("annotations"), list):
            raise InputError(f"the export's '{path}' is not COCO")
        first = categories[0]
        if not (isinstance(first, Mapping) and first.get("id") == 0 and first.get("supercategory") == "none"):
            continue
        write_json(path, _renumbered(content), indent=None)


def _renumbered(content: Mapping[str, Any]) -> dict[str, Any]:
    shift = 1 - min((box["id"] for box in content["annotations"]), default=1)
    return {
        **content,
        "categories": [{**one, "id": one["id"] - 1} for one in content["categories"] if one["id"] != 0],
        "annotations": [
            {**box, "id": box["id"] + shift, "category_id": box["category_id"] - 1} for box in content["annotations"]
        ],
    }


def _present(root: Path, unit: str) -> str | None:
    folder = root / unit
    if not folder.exists():
        return None
    manifest = read_manifest(root, unit)
    if manifest is not None:
        wrong = damage(root, manifest)
    else:
        files = [f"{split}/{rf100vl.ANNOTATIONS}" for split in ("train", "test")]
        wrong = [f"'{file}' is missing" for file in files if not (folder / file).is_file()]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"'{folder}' is there but not whole: {wrong[0]}{more}; move it away and download again")
    return "already here" if manifest is not None else "found"


def _finish(root: Path, unit: str, facts: dict[str, Any]) -> None:
    files = (path.relative_to(root) for path in (root / unit).rglob("*") if path.is_file())
    write_manifest(root, unit, facts, files)
