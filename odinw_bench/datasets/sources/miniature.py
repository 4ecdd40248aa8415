"""Data drawn on the spot: the embedded miniature suite."""

from __future__ import annotations

from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.utils.io import canonical_json, sha256_bytes


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
