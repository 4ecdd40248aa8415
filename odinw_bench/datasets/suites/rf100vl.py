"""Roboflow100-VL (arXiv 2505.20612) and its twenty of the few-shot challenge: names, domains, and where each lies."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.coco import Split, open_folder
from odinw_bench.datasets.folder import classes_of
from odinw_bench.datasets.sources.files import remedy
from odinw_bench.datasets.task import Roboflow, Source, SplitPaths, Task, TaskClass
from odinw_bench.utils.text import slug

SUITES = ("rf100vl", "rf20vl")
DOMAINS = ("Aerial", "Document", "Flora & Fauna", "Industrial", "Medical", "Sports", "Other")
"""The seven domains in the order of the paper's tables; the benchmark's package calls three of them otherwise."""

ANNOTATIONS = "_annotations.coco.json"
GIVEN = "given-10"
"""The split of the ten reference annotations a class that the benchmark gives for its few-shot track."""

PAPER = "https://arxiv.org/abs/2505.20612"
_SPLITS = {"train": "train", "val": "valid", "test": "test"}
_FULL = {"rf100vl": ("rf100-vl", "rf20-vl"), "rf20vl": ("rf20-vl", "rf100-vl")}
"""Where the whole data sets may lie below the data root: the suite's own folder first, then the other's."""


@dataclass(frozen=True)
class Entry:
    """One data set of the benchmark.

    Attributes:
        folder: what its folder is called, by the benchmark's own package.
        domain: one of :data:`DOMAINS`.
        in_rf20: whether it is one of the twenty of the few-shot challenge.
        projects: what Roboflow's projects of it are called, whole and few-shot ones.
    """

    folder: str
    domain: str
    in_rf20: bool
    projects: tuple[str, ...]

    @property
    def given_project(self) -> str:
        """What the few-shot challenge calls it: the whole data set's project, ``fsod`` before the last part."""
        whole = next(name for name in self.projects if "-fsod-" not in name)
        head, _, tail = whole.rpartition("-")
        return f"{head}-fsod-{tail}"

    @property
    def name(self) -> str:
        """Its short name: the folder's, without hyphens that stand first or side by side."""
        return slug(self.folder)


@lru_cache(maxsize=1)
def entries() -> Mapping[str, Entry]:
    """All 100 data sets by short name, sorted."""
    text = (resources.files(__package__) / "rf100vl.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    found = [Entry(row["folder"], row["domain"], row["rf20"] == "yes", tuple(row["projects"].split())) for row in rows]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def domain_of(name: str) -> str | None:
    """The domain of a data set by its short name; None: it is none of the benchmark's."""
    entry = entries().get(name)
    return entry.domain if entry else None


def full_folder(suite: str) -> str:
    """The folder of a suite's whole data sets below the data root, and its workspace at Roboflow."""
    return _FULL[suite][0]


def given_folder(suite: str) -> str:
    """The folder of a suite's few-shot data sets below the data root, and its workspace at Roboflow."""
    return f"{_FULL[suite][0]}-fsod"


def rf100vl_tasks() -> list[Task]:
    """The tasks of ``rf100vl``, sorted by name. Their classes are in the annotations: see :func:`open_split`."""
    return [_task(entry, "rf100vl") for entry in entries().values()]


def rf20vl_tasks() -> list[Task]:
    """The tasks of ``rf20vl``, sorted by name."""
    return [_task(entry, "rf20vl") for entry in entries().values() if entry.in_rf20]


def open_split(task: Task, split: str, root: Path) -> Split:
    """Open a split of one of the benchmark's tasks, wherever it lies, under the classes of all splits that are there.

    Args:
        task: of one of the benchmark's suites.
        split: ``train``, ``val``, ``test`` or :data:`GIVEN`.
        root: the data root, which holds ``rf100-vl/``, ``rf20-vl/`` and their ``-fsod`` counterparts, each with
            ``DATASET/{train,valid,test}/_annotations.coco.json``.

    Raises:
        InputError: the split is not there, with what to download, or its annotations are not COCO.
    """
    paths = place_of(task, split, root)
    if paths is None:
        part = "10-shot" if split == GIVEN else "test"
        raise InputError(
            f"'{task.splits[split].annotations}' of task '{task.name}' not found in '{root}'{remedy(task, root, part)}"
        )
    here = {name: found for name in task.splits if (found := place_of(task, name, root)) is not None}
    files = tuple((name, str(root / one.annotations)) for name, one in here.items())
    classes = task.classes or _classes(root, files, tuple(Path(file).stat().st_mtime_ns for _, file in files))
    pairs = [(entry.category_id, entry.name) for entry in classes]
    opened = open_folder(root / paths.annotations, root / paths.images)
    return opened.with_classes(pairs, where=str(root / paths.annotations))


def place_of(task: Task, split: str, root: Path) -> SplitPaths | None:
    """Where a split lies below the data root; None: nowhere.

    The whole data set counts before the few-shot one, whose validation and test images are the same.
    """
    folder = entries()[task.name].folder
    wholes = [f"{place}/{folder}" for place in _FULL[task.suite]]
    given = [f"{place}-fsod/{folder}" for place in _FULL[task.suite]]
    places = {"train": wholes, GIVEN: given}.get(split, wholes + given)
    choices = (_paths(place, split) for place in places)
    return next((paths for paths in choices if (root / paths.annotations).is_file()), None)


@lru_cache(maxsize=256)
def _classes(root: Path, files: tuple[tuple[str, str], ...], _changed: tuple[int, ...]) -> tuple[TaskClass, ...]:
    """The classes of a data set's annotation files, by split; read again when one of them has changed."""
    return classes_of(root, {name: SplitPaths(file, "") for name, file in files})


def _task(entry: Entry, suite: str) -> Task:
    place = f"{full_folder(suite)}/{entry.folder}"
    return Task(
        name=entry.name,
        title=entry.folder,
        suite=suite,
        classes=(),
        splits={split: _paths(place, split) for split in _SPLITS}
        | {GIVEN: _paths(f"{given_folder(suite)}/{entry.folder}", "train")},
        eval_split="val",
        aliases=(entry.folder, *entry.projects),
        licence="Apache-2.0, as the benchmark states",
        source=Source(roboflow=Roboflow(full_folder(suite), entry.projects[0]), page=PAPER, format="rf100vl"),
        notes=(f"domain: {entry.domain}", "scored on up to 500 detections an image"),
        evaluation="rf100vl",
        given_shots={10: GIVEN},
    )


def _paths(place: str, split: str) -> SplitPaths:
    folder = f"{place}/{_SPLITS.get(split, 'train')}"
    return SplitPaths(f"{folder}/{ANNOTATIONS}", folder)
