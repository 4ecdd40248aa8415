"""What the data of a task really hold, and what is wrong with them: nothing is changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path, PurePosixPath

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import class_labels, learnable_boxes
from odinw_bench.datasets.checks.boxes import Counts, check_annotation_file, check_content
from odinw_bench.datasets.checks.findings import ERRORS, Finding, Findings
from odinw_bench.datasets.checks.lookalikes import Lookalikes
from odinw_bench.datasets.checks.orientations import check_orientations
from odinw_bench.datasets.checks.pictures import check_pictures
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.download.manifest import damage, read_manifest
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.datasets.picture_hashes import pictures_sha256
from odinw_bench.datasets.sentences import SentenceSplit
from odinw_bench.datasets.sources import few_shot_subset, is_present, open_split
from odinw_bench.datasets.sources.files import root_of
from odinw_bench.datasets.sources.opening import place_of
from odinw_bench.datasets.task import SplitPaths, Task

__all__ = ["ERRORS", "Checked", "Counts", "Finding", "Subset", "check_task"]

Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Subset:
    """What a few-shot subset really holds.

    Attributes:
        shots, seed: which one.
        made: from a ready-made file, or by the rule.
        images: how many.
        classes: by class name: (images with it, its boxes), of the boxes that training uses: no crowd or empty ones.
    """

    shots: Shots
    seed: int
    made: str
    images: int
    classes: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Checked:
    """A task's data.

    Attributes:
        task: its short name.
        counts: by split.
        findings: what is wrong or odd.
        subsets: as asked for.
        pictures_sha256: by split, the hash of its pictures that a run's record states; only where they were read.
    """

    task: str
    counts: dict[str, Counts]
    findings: list[Finding]
    subsets: list[Subset]
    pictures_sha256: dict[str, str]

    @property
    def sound(self) -> bool:
        """Whether nothing was found that makes numbers wrong or runs fail."""
        return not any(finding.kind in ERRORS for finding in self.findings)


def check_task(
    task: Task,
    data_root: Path | None = None,
    *,
    subsets: Sequence[tuple[Shots, int]] = (),
    pictures: bool = True,
    tick: Tick = lambda *_: None,
) -> Checked:
    """Read every annotation and every picture of a task.

    Args:
        task: any task.
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.
        subsets: (shots, seed) of few-shot subsets of the training split to count.
        pictures: decode every picture and hash its file; else only the annotations are read.
        tick: called with (split, pictures done, pictures in all).

    Raises:
        InputError: the data are not here, or (with ``subsets``) the training split cannot be used.
    """
    if not any(is_present(task, split, data_root) for split in task.splits):
        open_split(task, next(iter(task.splits)), data_root)  # whose error names the remedy
    findings = Findings()
    counts: dict[str, Counts] = {}
    hashes: dict[str, str] = {}
    seen: dict[str, tuple[str, str]] = {}
    alike = Lookalikes()
    drawn = _drawn_from(task)
    for split, paths in _distinct(task).items():
        if task.source.kind == "miniature":
            counts[split], images = check_content(open_split(task, split).annotations, split, findings)
        else:
            root = root_of(task, data_root, wanted=paths.annotations)
            paths = place_of(task, split, root) or paths
            if not (root / paths.annotations).exists():
                kind = "annotation file of a subset missing" if split in drawn else "annotation file missing"
                findings.add(split, kind, paths.annotations)
                continue
            if not (root / paths.annotations).resolve().is_relative_to(root.resolve()):
                findings.add(split, "link out of the data folder", paths.annotations)
            opened = _try_to_open(task, split, data_root, findings)
            if (
                task.form == "coco" and paths.part is None and not isinstance(opened, SentenceSplit)
            ):  # ids and boxes as the file has them
                counts[split], images = check_annotation_file(root / paths.annotations, split, findings)
            elif opened is not None:
                counts[split], images = check_content(opened.annotations, split, findings)
            else:
                continue
            if opened is not None and task.root is not None:
                check_orientations(opened, task, split, findings)
            if pictures:
                folder = root / paths.images if opened is None or opened.folder is None else opened.folder
                inside = root if folder.is_relative_to(root) else folder
                others = {key: at for key, at in seen.items() if at[0] != drawn[split]} if split in drawn else seen
                check_pictures(inside, folder, split, images, findings, others, alike, tick, opened)
                if opened is not None and (found := pictures_sha256(opened)) is not None:
                    hashes[split] = found
        expected = paths.count
        if expected is not None and counts[split].images != expected:
            findings.add(split, "other number of images than published", f"{counts[split].images}, not {expected}")
    for kind, split, name, other_split, other in alike.found(drawn):
        findings.add(split, kind, f"{name} is {other} of {other_split}")
    if pictures and task.source.kind == "official":
        _compare_with_download(task, data_root, findings)
    train = open_split(task, "train", data_root) if subsets else None
    held = [_subset(task, train, shots, seed, data_root) for shots, seed in subsets] if train is not None else []
    return Checked(task.name, counts, findings.listed(), held, hashes)


def _compare_with_download(task: Task, data_root: Path | None, findings: Findings) -> None:
    """With the hashes that the downloads wrote down, where there were any."""
    from odinw_bench.datasets.download.public import units_of  # brings the reading of zips

    root = root_of(task, data_root, wanted=next(iter(task.splits.values())).annotations)
    places = [place_of(task, split, root) or paths for split, paths in task.splits.items()]
    units = [str(parent) for paths in places for parent in PurePosixPath(paths.annotations).parents]
    for unit in dict.fromkeys([*units, *units_of(task.suite)]):
        manifest = read_manifest(root, unit)
        for problem in damage(root, manifest, contents=True) if manifest is not None else ():
            findings.add("all", "not as downloaded", problem)


def _drawn_from(task: Task) -> dict[str, str]:
    """From the splits that are subsets of others by design to those: given shots, and what is called like minival's."""
    found = dict.fromkeys(task.given_shots.values(), "train")
    for split in task.splits:
        whole, subset = split.partition("_")[::2]
        if whole in task.splits and re.fullmatch(r"\d+shot_\d+seed", subset):
            found[split] = whole
    return found


def _distinct(task: Task) -> dict[str, SplitPaths]:
    """The splits that are files of their own; some tasks test on their validation split."""
    if task.source.kind == "miniature":
        return dict(task.splits)
    first: dict[SplitPaths, str] = {}
    for name, paths in task.splits.items():
        first.setdefault(replace(paths, count=None), name)
    return {name: task.splits[name] for name in first.values()}


def _try_to_open(task: Task, split: str, data_root: Path | None, findings: Findings) -> Split | None:
    """As a run would; None where it cannot be."""
    try:
        return open_split(task, split, data_root)
    except InputError as error:
        findings.add(split, "annotations unusable", str(error))
        return None


def _subset(task: Task, train: Split, shots: Shots, seed: int, data_root: Path | None) -> Subset:
    subset, made = few_shot_subset(task, "train", train, shots, seed, data_root)
    learnt = [*compress(subset.annotations["annotations"], learnable_boxes(subset.annotations))]
    boxes = Counter(box["category_id"] for box in learnt)
    images = Counter(category for category, _ in {(box["category_id"], box["image_id"]) for box in learnt})
    labels = class_labels(dict(zip(subset.category_ids, subset.class_names, strict=True)))
    classes = {label: (images[category], boxes[category]) for category, label in labels.items()}
    return Subset(shots, seed, made, len(subset), classes)
