"""How sure an LVIS AP is: ``python -m tools.lvis_intervals RUN [RUN ...]`` resamples the test images of finished runs.

AP, APr, APc and APf (fixed AP) with 95 % intervals, and each run's difference from the first on the same resamples.
A resample is evaluated as a data set of its own, in which an image that is drawn twice is two images. Where most
categories have a few boxes, AP of a resample is higher than of the whole on average, so the interval is the spread of
the resamples around their own mean, laid around the value.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from odinw_bench.metrics import evaluate_lvis
from odinw_bench.report.testdata import open_test_data, read_predictions
from odinw_bench.runs.record import read_record

METRICS = ("AP", "APr", "APc", "APf")


def resampled(
    annotations: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]], drawn: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set of some images, each as often as it is drawn, and its predictions.

    Args:
        annotations: an LVIS file's content.
        predictions: COCO results.
        drawn: positions in ``annotations["images"]``.
    """
    boxes, found = defaultdict(list), defaultdict(list)
    for entry in annotations["annotations"]:
        boxes[entry["image_id"]].append(entry)
    for one in predictions:
        found[one["image_id"]].append(one)
    images: list[dict[str, Any]] = []
    truths: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    for number, position in enumerate(drawn, start=1):
        image = annotations["images"][position]
        images.append({**image, "id": number})
        for entry in boxes[image["id"]]:
            truths.append({**entry, "id": len(truths) + 1, "image_id": number})
        kept += [{**one, "image_id": number} for one in found[image["id"]]]
    return {**annotations, "images": images, "annotations": truths}, kept


def intervals(runs: Sequence[Path], samples: int, seed: int) -> list[dict[str, tuple[float, float, float]]]:
    """Of each run: metrics, and from the second run on differences from the first, as value, low end, high end."""
    records = [read_record(run) for run in runs]
    spec = records[0].spec
    split = open_test_data(spec.suite, spec.dataset, spec.eval_split, records[0].test_sha256).split
    if any(record.test_sha256 != records[0].test_sha256 for record in records):
        raise SystemExit("the runs were tested on different data")
    predictions = [read_predictions(run) for run in runs]
    rng = np.random.default_rng(seed)
    whole = np.arange(len(split))
    drawn = [whole, *(rng.choice(len(split), len(split)) for _ in range(samples))]
    found = np.array([[_measure(split.annotations, one, positions) for positions in drawn] for one in predictions])
    listed = []
    for number, values in enumerate(found):
        rows = {name: _summary(values[:, column]) for column, name in enumerate(METRICS)}
        if number:
            rows |= {f"{name} - first": _summary((values - found[0])[:, column]) for column, name in enumerate(METRICS)}
        listed.append(rows)
    return listed


def _measure(annotations: Mapping[str, Any], predictions: Any, drawn: Any) -> list[float]:
    """The metrics of a resample; NaN where it has no category of a frequency."""
    metrics = evaluate_lvis(*resampled(annotations, predictions, drawn.tolist()))
    return [np.nan if metrics[name] is None else metrics[name] for name in METRICS]


def _summary(values: Any) -> tuple[float, float, float]:
    low, high = np.nanquantile(values[1:], [0.025, 0.975]) - np.nanmean(values[1:])
    return float(values[0]), float(values[0] + low), float(values[0] + high)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for run, rows in zip(given.runs, intervals(given.runs, given.samples, given.seed), strict=True):
        print(run)
        for name, (value, low, high) in rows.items():
            print(f"  {name:12} {value:6.1f}  ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
