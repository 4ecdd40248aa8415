"""Data drawn on the spot: the embedded miniature suites."""

from __future__ import annotations

from collections.abc import Mapping

from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.plugins import load_object

OTHERS: Mapping[str, str] = {
    "mini-coco": "odinw_bench.datasets.suites.miniatures:open_coco",
    "mini-lvis": "odinw_bench.datasets.suites.miniatures:open_lvis",
    "mini-flickr": "odinw_bench.datasets.suites.mini_sentences:open_split",
    "mini-refexp": "odinw_bench.datasets.suites.mini_sentences:open_split",
}
"""What opens the drawn suites beside ``mini``: by the suite's name, ``PACKAGE.MODULE:FUNCTION`` from a task and the
name of a split to that split under the task's classes."""


def open_split(task: str, split: str) -> Split:
    """Open a split of a drawn task.

    Its hash is that of the annotations' canonical JSON.

    Raises:
        InputError: there is no such task or split.
    """
    from odinw_bench.mini import render_split  # numpy and drawing: only when it is asked for

    annotations, load_image = render_split(task, split)
    data = check_annotations(annotations, where=f"miniature {task} {split}")
    return Split(data, load_image, sha256=sha256_bytes(canonical_json(annotations)))


def open_other(task: Task, split: str) -> Split:
    """Open a split of a drawn task of another suite than ``mini``.

    Raises:
        InputError: there is no such split.
    """
    found: Split = load_object(OTHERS[task.suite], "drawn suite", here=False)(task, split)
    return found
