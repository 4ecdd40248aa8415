"""The ways of testing by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from odinw_bench.evaluation.base import COCO, Evaluation
from odinw_bench.evaluation.coco import CocoEvaluation
from odinw_bench.evaluation.flickr import FlickrEvaluation
from odinw_bench.evaluation.lvis import LvisEvaluation
from odinw_bench.evaluation.refexp import RefexpEvaluation
from odinw_bench.evaluation.rf100vl import RF100VLEvaluation

if TYPE_CHECKING:
    from odinw_bench.datasets.task import Task

EVALUATIONS: Mapping[str, Evaluation] = {
    one.name: one
    for one in (
        CocoEvaluation(),
        LvisEvaluation(),
        FlickrEvaluation(),
        RefexpEvaluation(),
        RF100VLEvaluation(),
    )
}
"""By the name that tasks give. To add one, write its class in this package and list it here."""


def find_evaluation(name: str) -> Evaluation | None:
    """The evaluation of a name; None where this version does not know it."""
    return EVALUATIONS.get(name)


def evaluation_of(task: Task) -> Evaluation:
    """How a task is tested."""
    return EVALUATIONS[task.evaluation]


def recorded_evaluation(task: Task) -> dict[str, Any]:
    """The record's field ``evaluation``; nothing where it is COCO's, as before there were others."""
    return {} if task.evaluation == COCO else {"evaluation": dict(evaluation_of(task).to_json(task))}
