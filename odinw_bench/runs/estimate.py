"""How long cells may take where no record says: by the speeds that the GLIP paper gives."""

from __future__ import annotations

from collections.abc import Sequence

from odinw_bench.evaluation.table import evaluation_of
from odinw_bench.metrics.published import published_cost
from odinw_bench.runs.cell import Cell

_LIKE = {"dyhead-t": "glip-t-a"}
"""Models that the paper gives no speed of, and those that cost as much: GLIP-T (A) is DyHead with a prompt."""


def estimate_published(cells: Sequence[Cell]) -> float | None:
    """Hours by the speeds of the GLIP paper's table 7, one cell after the other.

    It is rough: the paper's speeds are of a P100 (testing) and a V100 (training), and tuning is counted with as many
    epochs as the recipe allows at most, at the speed of full fine-tuning, validation left out.

    Args:
        cells: what is to be done.

    Returns:
        the hours; None where a model is none that the paper gives a speed of, or there is nothing to do.
    """
    hours = 0.0
    for cell in cells:
        name = _LIKE.get(cell.facts.name, cell.facts.name)
        fusion = name != "glip-t-a"
        testing, training = (published_cost(name, phase, fusion=fusion) for phase in ("inference", "training"))
        if testing is None or training is None:
            return None
        hours += passes_in_testing(cell) / testing.images_per_second / 3600
        hours += cell.most_passes / training.images_per_second / 3600
    return hours if cells else None


def work_of(cell: Cell) -> float:
    """How much work a cell is, beside others: by published speeds, else with a training pass as three of testing.

    Args:
        cell: what is to be done.
    """
    hours = estimate_published([cell])
    return 3600 * hours if hours is not None else 3 * cell.most_passes + passes_in_testing(cell)


def passes_in_testing(cell: Cell) -> int:
    """Images that are looked at in testing; see :meth:`odinw_bench.evaluation.base.Evaluation.passes`."""
    return evaluation_of(cell.task).passes(cell.task, cell.test)
