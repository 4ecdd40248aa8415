"""The detections of a whole suite in the form that the ODinW challenge on EvalAI takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.registry import load_suite
from odinw_bench.datasets.task import Task
from odinw_bench.report.document import listed
from odinw_bench.report.testdata import PREDICTIONS, read_predictions
from odinw_bench.report.variants import variant_of
from odinw_bench.runs.record import RunRecord, find_records
from odinw_bench.runs.spec import OFFICIAL_SEEDS

TRACKS = {"zero": "0", "full": "all", "3shot": "3"}
"""The challenge's tracks, by the shots of the runs that belong to each."""

SUITES = ("odinw35", "odinw13")
_KEYS = ("image_id", "category_id", "bbox", "score")


@dataclass(frozen=True)
class Submission:
    """What is to be written.

    Attributes:
        content: of the file.
        way: model and mode of the runs, in words.
        missing: what the suite has and the records do not.
    """

    content: dict[str, Any]
    way: str
    missing: list[str]


def submission(
    results: Path, track: str, *, suite: str = "odinw35", model: str | None = None, mode: str | None = None
) -> Submission:
    """Collect the detections of one way of running a suite.

    Args:
        results: folder of the records.
        track: one of :data:`TRACKS`.
        suite: ``odinw35``, which the challenge is on, or ``odinw13``.
        model: of the runs; None: whichever there is.
        mode: of the runs; None: whichever there is.

    Returns:
        for the tracks zero and full, by name of the data set, the list of ``image_id``, ``category_id``, ``bbox``
        (x, y, width, height in pixels) and ``score``; for 3shot such a list by seed, as text.

    Raises:
        InputError: an unknown track or suite, no such run, or runs of several models, modes or settings.
    """
    if track not in TRACKS:
        raise InputError(f"unknown track '{track}'; the challenge has {', '.join(TRACKS)}")
    if suite not in SUITES:
        raise InputError(f"the challenge is on {' and '.join(SUITES)}, not on the suite '{suite}'")
    found = newest_runs(
        results,
        lambda record: (
            record.spec.suite == suite
            and str(record.spec.shots) == TRACKS[track]
            and model in (None, record.spec.model)
            and mode in (None, record.spec.mode)
        ),
        by_seed=track == "3shot",
    )
    return _collected(found, track, suite, results)


Runs = Mapping[str, Mapping[tuple[str, str], Path]]
"""Folders of runs: by model and mode in words, then by data set and seed (as text; empty where seeds do not count)."""


def newest_runs(results: Path, fits: Callable[[RunRecord], bool], *, by_seed: bool) -> Runs:
    """The newest finished runs on the test split that have predictions.

    Args:
        results: folder of the records.
        fits: which runs are wanted.
        by_seed: keep one of each seed, rather than one of each data set.

    Raises:
        InputError: there is no such folder.
    """
    if not results.is_dir():
        raise InputError(f"results folder '{results}' not found; 'odinw-bench run' makes one")
    found: dict[str, dict[tuple[str, str], tuple[str, Path]]] = {}
    for folder, record in find_records(results):
        spec = record.spec
        if not (record.is_done and spec.eval_split == "test" and fits(record) and (folder / PREDICTIONS).is_file()):
            continue
        variant = variant_of(record)
        way = f"{spec.model} {spec.mode}" + (f" ({variant})" if variant else "")
        key = (spec.dataset, str(spec.seed) if by_seed else "")
        finished = str(record.get("finished") or "")
        found.setdefault(way, {})[key] = max(found.get(way, {}).get(key, ("", folder)), (finished, folder))
    return {way: {key: folder for key, (_, folder) in runs.items()} for way, runs in found.items()}


def only_way(found: Runs, results: Path) -> tuple[str, Mapping[tuple[str, str], Path]]:
    """The runs, where they are all of one model and mode.

    Raises:
        InputError: they are not.
    """
    if len(found) > 1:
        raise InputError(
            f"runs of {len(found)} ways are in '{results}', choose by --model and --mode, or give a folder with one of "
            f"them: {listed(sorted(found), 10)}"
        )
    ((way, runs),) = found.items()
    return way, runs


def _collected(found: Runs, track: str, suite: str, results: Path) -> Submission:
    if not found:
        how = {"zero": "--mode zero-shot", "full": "--shots all", "3shot": "--shots 3 --seed all"}[track]
        raise InputError(
            f"no finished run of the track '{track}' ({TRACKS[track]} shots, suite {suite}, split test) with "
            f"predictions in '{results}'; 'odinw-bench run --suite {suite} {how}' makes them"
        )
    way, runs = only_way(found, results)
    content: dict[str, Any] = {}
    missing: list[str] = []
    for name, task in official_names(suite).items():
        seeds = [str(seed) for seed in OFFICIAL_SEEDS] if track == "3shot" else [""]
        lost = [seed for seed in seeds if (task.name, seed) not in runs]
        if lost:
            missing.append(name if track != "3shot" else f"{name} (seed {', '.join(lost)})")
        lists = {seed: plain_rows(runs[task.name, seed]) for seed in seeds if seed not in lost}
        if lists:
            content[name] = lists if track == "3shot" else lists[""]
    return Submission(content, way, missing)


def official_names(suite: str) -> dict[str, Task]:
    """The tasks of a suite by the name of their official folder, in order.

    A folder with several tasks (``EgoHands``) gives none of them its name: these are called by their official
    task files (``EgoHands_generic``).
    """
    tasks = load_suite(suite)
    folders = {task.name: task.splits["train"].annotations.partition("/")[0] for task in tasks}
    shared = Counter(task.splits["train"].annotations.partition("/")[0] for task in load_suite("odinw35"))
    named = {
        folders[task.name] if shared[folders[task.name]] == 1 or task.config is None else task.config: task
        for task in tasks
    }
    return dict(sorted(named.items(), key=lambda item: item[0].lower()))


def plain_rows(folder: Path) -> list[dict[str, Any]]:
    """The detections of a run: image, category, box and score alone."""
    return [{key: row[key] for key in _KEYS} for row in read_predictions(folder)]
