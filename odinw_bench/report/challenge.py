"""The detections on RF20-VL in the form that its few-shot challenge takes: a zip of pickles, written and never read.

The form is what https://github.com/roboflow/rf100-vl says under "Submission Details": a pickle a data set, named after
it, with a list of ``{"image_id", "instances"}``. The names are those of the few-shot projects at Roboflow, and category
ids count from 0, as in the annotations of the benchmark's own package.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.suites.rf100vl import SUITES, entries
from odinw_bench.report.evalai import Submission, newest_runs, only_way, plain_rows
from odinw_bench.report.rf100vl import track as track_of
from odinw_bench.runs.record import read_record

TRACKS = ("10-shot", "zero-shot")
_PROTOCOL = 4  # read by Python from 3.4 on
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same detections give the same bytes


def rf20vl_submission(
    results: Path, track: str, *, model: str | None = None, mode: str | None = None, seed: int | None = None
) -> Submission:
    """Collect the detections of one way of running the twenty data sets.

    Args:
        results: folder of the records.
        track: one of :data:`TRACKS`.
        model: of the runs; None: whichever there is.
        mode: of the runs; None: whichever there is.
        seed: of the runs; None: whichever there is.

    Returns:
        by name of the data set, a list of ``image_id`` and its ``instances``, each with ``image_id``,
        ``category_id`` (from 0), ``bbox`` (x, y, width, height in pixels) and ``score``.

    Raises:
        InputError: an unknown track, no such run, or runs of several models, modes, settings or seeds.
    """
    if track not in TRACKS:
        raise InputError(f"unknown track '{track}'; the challenge has {' and '.join(TRACKS)}")
    found = newest_runs(
        results,
        lambda record: (
            record.spec.suite in SUITES
            and track_of(record) == track
            and model in (None, record.spec.model)
            and mode in (None, record.spec.mode)
            and seed in (None, record.spec.seed)
        ),
        by_seed=track != "zero-shot",
    )
    if not found:
        shots = "--mode zero-shot" if track == "zero-shot" else "--shots 10"
        raise InputError(
            f"no finished run of the track '{track}' on rf20vl with predictions in '{results}'; "
            f"'odinw-bench run --suite rf20vl {shots}' makes them"
        )
    way, runs = only_way(found, results)
    seeds = sorted({one for _, one in runs})
    if len(seeds) > 1:
        raise InputError(f"runs of the seeds {', '.join(seeds)} are in '{results}': choose by --seed")
    content: dict[str, Any] = {}
    missing = []
    for name, entry in entries().items():
        if not entry.in_rf20:
            continue
        folder = runs.get((name, seeds[0]))
        if folder is None:
            missing.append(name)
        else:
            content[entry.given_project] = _by_image(folder)
    return Submission(content, way, missing)


def write_pickles(content: Mapping[str, Any], out: Path) -> None:
    """Write a zip with one pickle for each entry, of lists, dicts, numbers and texts alone.

    Args:
        content: by name.
        out: the file; replaced whole.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.part")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            entry = zipfile.ZipInfo(f"{name}.pkl", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, pickle.dumps(value, protocol=_PROTOCOL))
    scratch.replace(out)


def _by_image(folder: Path) -> list[dict[str, Any]]:
    """The detections of a run, image by image in the order of their ids."""
    rows = plain_rows(folder)
    ids = sorted(int(key) for key in read_record(folder).data.get("classes") or {})
    number = {category_id: position for position, category_id in enumerate(ids)}
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if row["category_id"] not in number:
            raise InputError(
                f"the predictions of '{folder}' have a category {row['category_id']} that its data have not"
            )
        by_image.setdefault(row["image_id"], []).append(row | {"category_id": number[row["category_id"]]})
    return [{"image_id": image_id, "instances": by_image[image_id]} for image_id in sorted(by_image)]
