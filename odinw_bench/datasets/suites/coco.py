"""COCO 2017 as a suite of one task: 80 names in one caption, tested on ``val2017``."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.sources import files
from odinw_bench.datasets.task import Source, SplitPaths, Task, TaskClass
from odinw_bench.utils.io import canonical_json, read_yaml, sha256_bytes

HELD_OUT = "held-out"
"""The split that tuning selects on: a part of ``train2017`` that is not trained on."""

MOST_HELD_OUT, SHARE, SEED = 5_000, 20, 2017
"""Images that are held out at most, and one in how many of a smaller set; seed of their draw."""

NOTES = (
    "Its test set has no labels: published numbers are of val2017, which is never selected on here. Tuning selects on "
    f"'{HELD_OUT}': {MOST_HELD_OUT} images of train2017 drawn with the seed {SEED} (of a smaller set a {SHARE}th), "
    "which 'train' then lacks.",
)


@cache
def coco_classes() -> tuple[TaskClass, ...]:
    """The 80 classes; their ids have gaps."""
    names = read_yaml(Path(__file__).with_name("coco_classes.yaml"), what="class list")
    return tuple(TaskClass(str(name), int(key)) for key, name in names.items())


def tasks() -> list[Task]:
    """The suite ``coco``."""
    return [
        Task(
            name="coco",
            title="COCO 2017",
            suite="coco",
            classes=coco_classes(),
            splits={
                "train": _paths("train2017"),
                HELD_OUT: _paths("train2017"),
                "val": _paths("val2017", 5_000),
            },
            eval_split="val",
            aliases=("coco2017",),
            licence="annotations: CC BY 4.0; pictures: Flickr's terms of use",
            source=Source(page="https://cocodataset.org/#download", format="coco2017"),
            notes=NOTES,
            tested_on="val",
            selected_on=HELD_OUT,
        )
    ]


def _paths(name: str, count: int | None = None) -> SplitPaths:
    file = f"annotations/instances_{name}.json"
    return SplitPaths(f"coco/{file}", f"coco/{name}", count, elsewhere=((file, name), (file, f"images/{name}")))


def open_split(task: Task, name: str, root: Path) -> Split:
    """A split under the data root; ``train`` and :data:`HELD_OUT` are two parts of ``train2017``.

    Raises:
        InputError: a file is missing or unusable.
    """
    paths = task.splits[name].found_in(root)
    classes = [(entry.category_id, entry.name) for entry in task.classes]
    split = files.open_split(task, paths, root).with_classes(classes, where=str(root / paths.annotations))
    if name not in ("train", HELD_OUT):
        return split
    held_out = held_out_ids(split)
    ids = [image_id for image_id in split.image_ids if (image_id in held_out) == (name == HELD_OUT)]
    part = split.subset(ids)
    part.sha256 = sha256_bytes(canonical_json([split.sha256, name, MOST_HELD_OUT, SHARE, SEED]))
    return part


def held_out_ids(split: Split) -> set[int | str]:
    """The images of ``train2017`` that are not trained on."""
    count = min(MOST_HELD_OUT, max(1, len(split) // SHARE))
    return set(random.Random(SEED).sample(split.image_ids, count))
