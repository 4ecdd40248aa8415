"""What more labels would bring: a power law of the error through models that learnt from fewer images.

The error 100 - AP(n) is taken to fall as n ** -c (Hestness et al. 2017). The exponent is fitted by least squares on
logarithms, the law passes through what was measured with all images, and the uncertainty is that of drawing the tested
images again; the noise of another training is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odinw_bench.advice.candidates import Candidate, Say, do, recipe_of, results_on
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget
from odinw_bench.engine.length import Length
from odinw_bench.metrics.stats import resampled_aps
from odinw_bench.utils.io import read_json

PARTS = {"half": 2, "quarter": 4}
TIMES = (2, 4)
SAMPLES = 300
_LEAST_ERROR = 0.1  # percent: the logarithm of no error is infinite


def learning_curve(
    candidate: Candidate, labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say
) -> list[dict[str, Any]]:
    """AP by number of training images: measured on the first fold, and expected at twice and four times as many.

    Args:
        candidate: a tuned one with a full run on the first fold.
        labelled: the images.
        settings: of the advice.
        budget: runs that do not fit are left out.
        say: called with each result.

    Returns:
        rows of ``images``, ``AP``, ``low``, ``high`` (95 %) and ``kind``, ``measured`` or ``expected``, ascending;
        empty where there was no time to measure two sizes.
    """
    recipe, fold, whole = recipe_of(candidate, settings), labelled.folds[0], candidate.full[0]
    truth, rows = results_on(candidate, labelled, [0])
    sizes, found = [len(fold.trained)], [rows]
    needed = whole.cost["tune_seconds"] + whole.cost["test_seconds"]

    def seconds(count: int) -> float:
        """Of a run on so many images: a recipe may repeat few images until they take as long as many."""
        return float(needed * Length.of(count, recipe).total / Length.of(sizes[0], recipe).total)

    for name, part in PARTS.items():
        count = len(fold.trained) // part
        if count < 1 or count in sizes or budget.left() < seconds(count):
            continue
        record = do(candidate, labelled.smaller(fold, name, count, settings.seed), settings, budget, 1.0, say)
        if record is None or record.folder is None:
            break
        sizes.append(count)
        found.append(read_json(record.folder / "predictions.json", what="predictions"))
    if len(sizes) < 2:
        return []
    aps, drawn = resampled_aps(truth, found, SAMPLES, settings.seed)
    curve = [
        _row(size, ap, drawn[:, place], "measured") for place, (size, ap) in enumerate(zip(sizes, aps, strict=True))
    ]
    for times in TIMES:
        ahead = np.array([_expected(sizes, row, times) for row in drawn])
        curve.append(_row(times * sizes[0], _expected(sizes, np.array(aps), times), ahead, "expected"))
    return sorted(curve, key=lambda row: row["images"])


def _expected(sizes: Sequence[int], aps: NDArray[np.float64], times: float) -> float:
    """AP in percent at ``times`` the first of the sizes."""
    errors = np.log(np.maximum(100.0 - aps, _LEAST_ERROR))
    slope = float(np.polyfit(np.log(np.array(sizes, dtype=np.float64)), errors, 1)[0])
    return float(100.0 - np.exp(errors[0]) * times ** min(slope, 0.0))  # more labels are not taken to do harm


def _row(images: int, ap: float, drawn: NDArray[np.float64], kind: str) -> dict[str, Any]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "images": images,
        "AP": round(ap, 2),
        "low": round(float(low), 2),
        "high": round(float(high), 2),
        "kind": kind,
    }
