"""Where the data of a task come from: files under a data root, a folder of the user's, or the drawn miniature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.fewshot import pick_shots
from odinw_bench.datasets.forms import find_form
from odinw_bench.datasets.sources import files, miniature
from odinw_bench.datasets.sources.files import DATA_ROOT_VARIABLE
from odinw_bench.datasets.task import SplitPaths, Task
from odinw_bench.utils.plugins import load_object

__all__ = ["DATA_ROOT_VARIABLE", "FORMATS", "draw_shots", "few_shot_subset", "is_present", "open_split"]


Opener = Callable[[Task, str, Path], Split]
"""From a task, the name of one of its splits and the data root to the split under the task's classes."""

FORMATS: Mapping[str, str] = {
    "coco2017": "odinw_bench.datasets.suites.coco:open_split",
    "lvis": "odinw_bench.datasets.suites.lvis:open_split",
    "flickr30k": "odinw_bench.datasets.suites.flickr:open_split",
    "refcoco": "odinw_bench.datasets.suites.refcoco:open_split",
    "rf100vl": "odinw_bench.datasets.suites.rf100vl:open_split",
}
"""What opens annotation files of other formats than COCO's: by ``Source.format``, ``PACKAGE.MODULE:FUNCTION``, an
:data:`Opener`."""

PLACES: Mapping[str, str] = {
    "flickr30k": "odinw_bench.datasets.suites.flickr:place_of",
    "refcoco": "odinw_bench.datasets.suites.refcoco:place_of",
    "rf100vl": "odinw_bench.datasets.suites.rf100vl:place_of",
}
"""What finds the splits of tasks that may lie in several folders: by ``Source.format``, ``PACKAGE.MODULE:FUNCTION``,
from a task, the name of a split and the data root to its :class:`SplitPaths`, or None."""


def open_split(task: Task, split: str, data_root: Path | str | None = None) -> Split:
    """Open a split of a task under the task's own classes.

    Args:
        task: from :mod:`odinw_bench.datasets.registry`.
        split: ``train``, ``val``, ``test``, for some tasks ``minival``.
        data_root: the folder that holds the official data; None: the environment variable ``ODINW_DATA_ROOT``.
            The miniature and folders of the user's do not need it.

    Returns:
        annotations and pictures; the pictures are read when asked for.

    Raises:
        InputError: the task has no such split; the data are missing (with where they were looked for and what to
            download), not COCO, or of other classes than the task's.
    """
    paths = _paths(task, split)
    classes = [(entry.category_id, entry.name) for entry in task.classes]
    if task.source.kind == "miniature":
        if task.suite in miniature.OTHERS:
            return miniature.open_other(task, split)
        return miniature.open_split(task.name, split).with_classes(classes, where=f"miniature {task.name} {split}")
    root = files.root_of(task, data_root, wanted=paths.annotations)
    if task.source.format in FORMATS:
        opener: Opener = load_object(FORMATS[task.source.format], "format of annotations", here=False)
        return opener(task, split, root)
    return files.open_split(task, paths, root).with_classes(classes, where=str(root / paths.annotations))


def few_shot_subset(
    task: Task,
    split_name: str,
    split: Split,
    shots: int | Literal["all"],
    seed: int,
    data_root: Path | str | None = None,
) -> tuple[Split, Literal["official-file", "rule", "given"]]:
    """The k-shot subset of a split: the ready-made file where the data root has one, else drawn by the rule.

    Args:
        task: the task.
        split_name: ``train``, ``val`` or ``minival``.
        split: that split, opened.
        shots: images per category, or ``"all"``: every image that training can use.
        seed: of the subset.
        data_root: see :func:`open_split`.

    Returns:
        the subset in the order picked (a ready-made one: ascending), and how it was made.

    Raises:
        InputError: ``shots`` or ``seed`` is unusable (see :func:`odinw_bench.datasets.fewshot.pick_shots`), or the
            ready-made file is not COCO.
    """
    if split_name == "train" and task.learnt_from(shots) != split_name:  # the benchmark gives the images itself
        return open_split(task, task.learnt_from(shots), data_root), "given"
    picked = draw_shots(task, split, shots, seed)
    pattern = task.fewshot.get(split_name)
    if pattern is not None and shots != "all" and shots != 0:
        root = files.root_of(task, data_root, wanted=pattern)
        path = pattern.replace("{shots}", str(shots)).replace("{seed}", str(seed))
        if (root / path).is_file():
            ready = SplitPaths(path, _paths(task, split_name).images)
            classes = [(entry.category_id, entry.name) for entry in task.classes]
            return files.open_split(task, ready, root).with_classes(classes, where=str(root / path)), "official-file"
    return split.subset(picked), "rule"


def draw_shots(task: Task, split: Split, shots: int | Literal["all"], seed: int) -> list[ImageId]:
    """The images of a k-shot subset by the rule for a task.

    That of a task of ODinW is the official one, which counts every box. On one's own data only boxes that training uses
    count, so that a class never has its shots in crowd or empty boxes.

    Raises:
        InputError: see :func:`odinw_bench.datasets.fewshot.pick_shots`.
    """
    return pick_shots(split.annotations, shots, seed, learnable=task.root is not None)


def is_present(task: Task, split: str, data_root: Path | str | None = None) -> bool:
    """Whether a split can be opened without downloading anything: its annotation file and image folder exist."""
    paths = _paths(task, split)
    if task.source.kind == "miniature":
        return True
    root = files.known_root(task, data_root)
    if root is None:
        return False
    if task.source.format in PLACES:
        return place_of(task, split, root) is not None
    return find_form(task.form).is_present(root, paths.found_in(root))


def place_of(task: Task, split: str, root: Path) -> SplitPaths | None:
    """Where a split lies below a data root, whichever layout it is kept in; None where it is not."""
    if task.source.format not in PLACES:
        return _paths(task, split).found_in(root)
    found: SplitPaths | None = load_object(PLACES[task.source.format], "place of a split", here=False)(
        task, split, root
    )
    return found


def _paths(task: Task, split: str) -> SplitPaths:
    try:
        return task.splits[split]
    except KeyError:
        raise InputError(f"task '{task.name}' has no split '{split}'; it has {', '.join(task.splits)}") from None
