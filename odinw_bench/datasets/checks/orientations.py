"""Cameras' EXIF orientations: which of a picture's two sizes its annotations state, and what a run does about it."""

from __future__ import annotations

from odinw_bench.datasets.checks.findings import Findings
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.orientation import Fit, fits
from odinw_bench.datasets.task import Task

_KINDS: dict[Fit, str] = {
    "displayed": "EXIF orientation: annotated as displayed",
    "stored": "EXIF orientation: annotated as stored",
    "either": "EXIF orientation: sizes do not tell how it was annotated",
}


def check_orientations(opened: Split, task: Task, split: str, findings: Findings) -> None:
    """Say of each picture with an orientation which size fits, and whether runs turn it.

    Args:
        opened: the split as runs open it.
        task: of the split.
        split: its name.
        findings: what is found is added. Pictures of another size than both are found with the sizes.
    """
    turned = any("turned by their EXIF orientation" in note for note in opened.notes)
    for fit, names in fits(opened).items():
        for name in names if fit in _KINDS else ():
            done = "runs turn it" if turned else "runs take it as stored"
            remedy = "" if task.exif or fit != "either" else "; 'exif: apply' or 'ignore' in a task.yaml decides"
            findings.add(split, _KINDS[fit], f"{name}: {done}{remedy}")
