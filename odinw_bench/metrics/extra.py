"""Metrics beside COCO's: one function each, computed on the test split and stored in the record.

A metric takes the annotations (a COCO dict as :func:`odinw_bench.datasets.annotations.check_annotations` gives it) and
the predictions (COCO results), and returns a number, or None where there is nothing to measure. Those of the program
are in :data:`METRICS`; other packages declare theirs as entry points of the group ``odinw_bench.metrics``, or they are
given as ``PACKAGE.MODULE:FUNCTION``.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glip_core.errors import InputError
from odinw_bench.metrics.coco import MAX_DETECTIONS, Predictions, evaluate
from odinw_bench.utils.plugins import declared, load_object

Metric = Callable[[Mapping[str, Any], Predictions], float | None]

GROUP = "odinw_bench.metrics"
METRICS: Mapping[str, Metric] = {}
"""Metrics of the program by their name in records; to add one, write it in this package and list it here."""

COCO = frozenset({"AP", "AP50", "AP75", "APs", "APm", "APl", "AR100", "AP_official_ids", "per_class"})
"""Names that :func:`odinw_bench.metrics.coco.evaluate` gives."""


def extra_metrics(given: Sequence[str] = ()) -> dict[str, Metric]:
    """All metrics beside COCO's, by name.

    Args:
        given: further ones as ``PACKAGE.MODULE:FUNCTION``; the function's name is the metric's.

    Raises:
        InputError: one cannot be imported, is no function, or has a name that is taken.
    """
    found = dict(METRICS)
    named = [*declared(GROUP).items(), *((target.rpartition(":")[2], target) for target in given)]
    for name, target in dict.fromkeys(named):  # declared and given: once
        if name in COCO or name in found:
            raise InputError(f"the metric '{target}' has the name '{name}', which is taken: give it another name")
        metric = load_object(target, "metric")
        if not callable(metric):
            raise InputError(f"the metric '{target}' is not a function of annotations and predictions")
        found[name] = metric
    return found


def evaluate_all(
    annotations: Mapping[str, Any],
    predictions: Predictions,
    given: Sequence[str] = (),
    *,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, Any]:
    """COCO's metrics, and then all others under their names.

    A metric that raises, or returns anything but a finite number or None, is None in the result, with a warning: a
    long run is not lost by it.

    Args:
        annotations: as :func:`odinw_bench.metrics.coco.evaluate` takes them.
        predictions: likewise.
        given: see :func:`extra_metrics`.
        max_detections: likewise.

    Returns:
        the metrics of :func:`odinw_bench.metrics.coco.evaluate`, and one number or None for each other metric.

    Raises:
        InputError: see :func:`odinw_bench.metrics.coco.evaluate` and :func:`extra_metrics`.
    """
    metrics = evaluate(annotations, predictions, max_detections=max_detections)
    for name, metric in extra_metrics(given).items():
        try:
            metrics[name] = _checked(metric(annotations, predictions))
        except Exception as error:
            warnings.warn(f"metric '{name}' was not computed: {type(error).__name__}: {error}", stacklevel=2)
            metrics[name] = None
    return metrics


def _checked(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"it returned {value!r}, not a finite number or None")
    return float(value)
