"""The drawn counterparts of COCO and LVIS, ``mini-coco`` and ``mini-lvis``: a task each, nothing on disk."""

from __future__ import annotations

from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.suites.lvis import lvis_annotations
from odinw_bench.datasets.task import Source, SplitPaths, Task, TaskClass
from odinw_bench.utils.io import canonical_json, sha256_bytes


def coco_tasks() -> list[Task]:
    """The suite ``mini-coco``."""
    return [_task("mini-coco", "val", "coco", "Drawn scenes of the things that pre-training shows by name.")]


def lvis_tasks() -> list[Task]:
    """The suite ``mini-lvis``."""
    note = "Drawn scenes of 160 combinations of colour, texture and shape with a long tail, annotated as LVIS is."
    return [_task("mini-lvis", "test", "lvis", note)]


def _task(name: str, eval_split: str, evaluation: str, note: str) -> Task:
    from odinw_bench.mini.others import other_recipe  # numpy and drawing: only when it is asked for

    recipe = other_recipe(name)
    return Task(
        name=name,
        title=recipe.title,
        suite=name,
        classes=tuple(TaskClass(entry.name, number) for number, entry in enumerate(recipe.classes, start=1)),
        splits={split: SplitPaths("", "", count) for split, count in recipe.images.items()},
        eval_split=eval_split,
        licence="Apache-2.0",
        source=Source("miniature"),
        notes=(note,),
        evaluation=evaluation,
    )


def open_coco(task: Task, split: str) -> Split:
    """A split of ``mini-coco``.

    Raises:
        InputError: there is no such split.
    """
    from odinw_bench.mini.others import render_other

    annotations, load = render_other(task.name, split)
    data = check_annotations(annotations, where=f"miniature {task.name} {split}")
    return Split(data, load, sha256=sha256_bytes(canonical_json(annotations)))


def open_lvis(task: Task, split: str) -> Split:
    """A split of ``mini-lvis``, with what federated evaluation needs.

    Raises:
        InputError: there is no such split.
    """
    from odinw_bench.mini.others import render_other

    annotations, load = render_other(task.name, split)
    data = lvis_annotations(annotations, where=f"miniature {task.name} {split}")
    return Split(data, load, sha256=sha256_bytes(canonical_json(annotations)))
