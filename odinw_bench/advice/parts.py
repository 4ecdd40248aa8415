"""Which images advice works on: those with labels whose pictures are not in the test split, each picture once.

Of the test split nothing is used but the hashes of its pictures.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.picture_hashes import hashes_of
from odinw_bench.datasets.sources import few_shot_subset, open_split
from odinw_bench.datasets.task import Task
from odinw_bench.utils.text import shorten


def labelled_parts(task: Task, settings: AdviceSettings) -> tuple[list[Split], list[str]]:
    """The training images, and the validation images where the task has some of its own.

    Args:
        task: with a training split.
        settings: shots, seed and where the data are.

    Returns:
        the one or two splits, the training images first, and what was left out of them in words.

    Raises:
        InputError: their data are missing or unusable.
    """
    root = settings.data_root
    train, _ = few_shot_subset(task, "train", open_split(task, "train", root), settings.shots, settings.seed, root)
    tested, selection = task.split_named("test"), task.selection_split
    parts = [train]
    if selection not in ("train", tested) and task.splits.get(selection) != task.splits.get(tested):
        parts.append(open_split(task, selection, root))
    notes: list[str] = []
    in_test = _hashes(task, tested, root) if any(part.folder is not None for part in parts) else set()
    parts = [_without(part, in_test, "labelled images", f"'{tested}'", notes) for part in parts]
    if len(parts) > 1:
        taken = parts[0].subset(parts[0].trainable_ids())
        parts[1] = _without(parts[1], set(hashes_of(taken).values()), "validation images", "'train'", notes)
    return parts, notes


def _hashes(task: Task, split: str, root: Path | None) -> set[str | None]:
    """Of the pictures of a split; none where it is not here."""
    try:
        return set(hashes_of(open_split(task, split, root)).values())
    except InputError:  # whoever tests on it says so
        return set()


def _without(split: Split, hashes: Collection[str | None], kind: str, where: str, notes: list[str]) -> Split:
    """A split without the pictures of some hashes; the same where it has none of them."""
    found = hashes_of(split)
    gone = [
        image_id
        for image_id in split.image_ids
        if (sha256 := found[split.file_name(image_id)]) is not None and sha256 in hashes
    ]
    if not gone:
        return split
    notes.append(
        f"{len(gone)} {kind} are left out, such as {shorten(split.file_name(gone[0]))}: their pictures are in {where} "
        "too, byte for byte"
    )
    left = set(gone)
    return split.subset(image_id for image_id in split.image_ids if image_id not in left)
