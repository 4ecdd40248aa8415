"""Averages as the paper takes them: first over seeds, then over data sets, always with what they were taken over."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from glip_core.config import PRESETS
from odinw_bench.datasets.registry import SUITES, load_suite
from odinw_bench.metrics.stats import PERCENT, Summary, summarize
from odinw_bench.report.load import COSTS, KEPT_BYTES, OFFICIAL_IDS, RETENTION, Runs, rows_of
from odinw_bench.report.variants import ON_OFFICIAL, usual_split
from odinw_bench.runs.spec import MODES, UNTUNED
from odinw_bench.utils.text import slug

AS_PUBLISHED = "zero-shot, paper's prompts"
"""Not a mode of a run: hand-written prompts on the tasks the paper wrote them for, plain names on the others."""

_LAST = 10**9


@dataclass(frozen=True)
class Config:
    """What is averaged: everything about a run but its data set and seed."""

    model: str
    variant: str
    mode: str
    shots: str

    @property
    def name(self) -> str:
        """In words."""
        shots = "" if self.shots == "0" else f" {self.shots}-shot"
        return f"{self.model_name} {self.mode}{shots}"

    @property
    def model_name(self) -> str:
        """The model, with what sets the run apart from its usual ones."""
        return f"{self.model} ({self.variant})" if self.variant else self.model

    @property
    def rank(self) -> tuple[object, ...]:
        """Models in the order of their ladder, modes in that of the paper, shots ascending; unknown ones after."""
        models, modes = list(PRESETS), [*UNTUNED, AS_PUBLISHED, *(mode for mode in MODES if mode not in UNTUNED)]
        return (
            models.index(self.model) if self.model in models else len(models),
            self.model,
            self.variant,
            modes.index(self.mode) if self.mode in modes else len(modes),
            self.mode,
            shots_rank(self.shots),
        )


def shots_rank(shots: str) -> int:
    """Shots in ascending order, ``all`` last."""
    return int(shots) if shots.isdigit() else _LAST


@dataclass(frozen=True)
class Score:
    """A configuration on one data set.

    Attributes:
        seeds: AP of each seed, ascending by seed.
        ap: their mean.
        ap50: mean AP50; NaN where a run has none.
        costs: mean of each cost, of the bytes kept and of what is left elsewhere; NaN where a run has none.
        classes: mean AP of each class.
        extra: mean of each metric beside COCO's, of those that all seeds have.
        official_ids: mean AP on the annotation ids as the file has them; None where they change nothing.
    """

    seeds: Mapping[int, float]
    ap: float
    ap50: float
    costs: Mapping[str, float]
    classes: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    official_ids: float | None = None


Scores = Mapping[Config, Mapping[str, Score]]
"""Scores by configuration and data set."""


@dataclass(frozen=True)
class Suite:
    """The runs of one suite; where they were tested on several splits, those on one of these.

    Numbers of different splits are never ranked against each other: every table, figure and choice is within a split.

    Attributes:
        name: of the suite, with the split for all but the first of several: no other has the same.
        tasks: names of all its data sets, measured or not, sorted.
        titles: their names for people.
        scores: what was measured, configurations in order of rank.
        runs: the rows of :attr:`Runs.done`.
        failed: the rows of :attr:`Runs.failed`.
        base: the suite's name in the records.
        split: what was tested, in words (``on val``), where the suite's runs are of several splits; else empty.
        others: the suite's other splits, likewise.
    """

    name: str
    tasks: Sequence[str]
    titles: Mapping[str, str]
    scores: Scores
    runs: pd.DataFrame
    failed: pd.DataFrame
    base: str
    split: str = ""
    others: Sequence[str] = ()

    def key(self, part: str) -> str:
        """An anchor or file name that no other suite has."""
        return f"{slug(self.name, unique=True)}-{part}"

    @property
    def measured(self) -> list[str]:
        """Data sets with a finished run of any configuration."""
        found = {task for row in self.scores.values() for task in row}
        return [task for task in self.tasks if task in found]


@dataclass(frozen=True)
class Average:
    """A mean over data sets.

    Attributes:
        ap: mean AP: first over seeds, then over data sets.
        ap50: mean AP50 likewise.
        tasks: the data sets, sorted.
        seeds: how many seeds each data set has: fewest and most.
        over_seeds: of the seeds that all of the data sets have, each one's mean over data sets; None for one seed.
        over_tasks: of the data sets' means.
        official_ids: mean AP on the annotation ids as the files have them, over the same data sets; None where they
            change nothing in any.
    """

    ap: float
    ap50: float
    tasks: tuple[str, ...]
    seeds: tuple[int, int]
    over_seeds: Summary | None
    over_tasks: Summary
    official_ids: float | None = None


def split_suites(runs: Runs) -> list[Suite]:
    """The runs by suite and by the split that was tested, suites in order.

    Of several splits of a suite the one that its runs are tested on unless they say another goes first, then the
    official one of each task.
    """
    kinds = {*rows_of(runs.done, ("suite", "tested")), *rows_of(runs.failed, ("suite", "tested"))}
    found = sorted(kinds, key=lambda kind: _order(*kind))
    return [_suite(name, split, [other for suite, other in found if suite == name], runs) for name, split in found]


def _order(name: str, split: str) -> tuple[object, ...]:
    rank = SUITES.index(name) if name in SUITES else len(SUITES)
    return rank, name, split != f"on {usual_split(name)}", split != ON_OFFICIAL, split


def _suite(base: str, split: str, splits: Sequence[str], runs: Runs) -> Suite:
    done, failed = (frame[(frame["suite"] == base) & (frame["tested"] == split)] for frame in (runs.done, runs.failed))
    found = sorted({*done["dataset"], *failed["dataset"]})
    known = {task.name: task.title for task in load_suite(base)} if base in SUITES else {}
    titles = known | {task: task for task in found if task not in known}
    name = base if split == splits[0] else f"{base}, {split}"
    others = [other for other in splits if other != split]
    scores = _scores(done, runs.classes)
    return Suite(name, sorted(titles), titles, scores, done, failed, base, split if others else "", others)


def _scores(done: pd.DataFrame, classes: pd.DataFrame) -> Scores:
    per_run: dict[Any, dict[str, float]] = {}
    wanted = classes[classes["run"].isin(done.index)]
    for run, name, ap in zip(wanted["run"], wanted["name"], wanted["AP"], strict=True):
        per_run.setdefault(run, {})[name] = ap
    groups: dict[tuple[Config, str], list[dict[str, Any]]] = {}
    needed: tuple[str, ...] = (
        "model",
        "variant",
        "mode",
        "shots",
        "dataset",
        "run",
        "seed",
        "AP",
        "AP50",
        "extra",
        OFFICIAL_IDS,
    )
    needed += (*COSTS, KEPT_BYTES, *RETENTION)
    for values in rows_of(done.reset_index(names="run").sort_values("seed", kind="stable"), needed):
        groups.setdefault((Config(*values[:4]), values[4]), []).append(dict(zip(needed, values, strict=True)))
    scores: dict[Config, dict[str, Score]] = {}
    for config, task in sorted(groups, key=lambda key: (key[0].rank, key[1])):
        runs = groups[config, task]
        found = [per_run.get(run["run"], {}) for run in runs]
        names = [name for name in found[0] if all(name in one for one in found)]
        scores.setdefault(config, {})[task] = Score(
            seeds={run["seed"]: run["AP"] for run in runs},
            ap=statistics.fmean([run["AP"] for run in runs]),
            ap50=statistics.fmean([run["AP50"] for run in runs]),
            costs={name: statistics.fmean([run[name] for run in runs]) for name in (*COSTS, KEPT_BYTES, *RETENTION)},
            classes={name: statistics.fmean([one[name] for one in found]) for name in names},
            extra={
                name: statistics.fmean(run["extra"][name] for run in runs)
                for name in runs[0]["extra"]
                if all(name in run["extra"] for run in runs)
            },
            official_ids=_official_ids(runs),
        )
    return scores


def _official_ids(runs: Sequence[Mapping[Any, Any]]) -> float | None:
    """The mean over runs that know it; one made before it was recorded does not."""
    known = [float(run[OFFICIAL_IDS]) for run in runs if not math.isnan(run[OFFICIAL_IDS])]
    return statistics.fmean(known) if len(known) == len(runs) else None


def average(row: Mapping[str, Score], tasks: Collection[str] | None = None) -> Average:
    """The mean of a configuration over data sets.

    Args:
        row: its scores.
        tasks: the data sets to average over, all of them in ``row``; None: all there are.

    Raises:
        ValueError: there is no data set.
    """
    names = sorted(row if tasks is None else tasks)
    scores = [row[name] for name in names]
    common = set.intersection(*(set(score.seeds) for score in scores)) if scores else set()
    by_seed = [statistics.fmean([score.seeds[seed] for score in scores]) for seed in sorted(common)]
    counts = [len(score.seeds) for score in scores]
    over_tasks = summarize([score.ap for score in scores], limits=PERCENT)
    return Average(
        ap=over_tasks.mean,
        ap50=statistics.fmean([score.ap50 for score in scores]),
        tasks=tuple(names),
        seeds=(min(counts), max(counts)),
        over_seeds=summarize(by_seed, limits=PERCENT) if len(by_seed) > 1 else None,
        over_tasks=over_tasks,
        official_ids=_mean_official_ids(scores),
    )


def _mean_official_ids(scores: Sequence[Score]) -> float | None:
    if all(score.official_ids is None for score in scores):
        return None
    return statistics.fmean(score.ap if score.official_ids is None else score.official_ids for score in scores)


def common_tasks(scores: Scores, configs: Iterable[Config] | None = None) -> tuple[list[str], list[Config]]:
    """Data sets that configurations can be compared on, and the configurations that have all of them.

    All configurations share few data sets when one of them has hardly started. Of the ways to choose, the one that
    keeps the most scores (data sets times configurations) is taken; among equals the one with more data sets.

    Returns:
        the data sets, sorted (none where there is no score), and the configurations in order.
    """
    given = {config: frozenset(scores[config]) for config in (scores if configs is None else configs)}
    choices = {*given.values()}
    choices |= {frozenset.intersection(*choices)} if choices else set()
    ranked = sorted(
        choices,
        key=lambda tasks: (-len(tasks) * sum(tasks <= has for has in given.values()), -len(tasks), sorted(tasks)),
    )
    best = ranked[0] if ranked else frozenset()
    return sorted(best), [config for config, has in given.items() if best and best <= has]


def difference(
    first: Mapping[str, Score], second: Mapping[str, Score], tasks: Collection[str] | None = None
) -> Summary | None:
    """AP of the first minus AP of the second, data set by data set; None where they share none.

    Args:
        first: scores by data set.
        second: likewise.
        tasks: compare on these alone.
    """
    shared = sorted(set(first) & set(second) if tasks is None else set(first) & set(second) & set(tasks))
    return summarize([first[task].ap - second[task].ap for task in shared]) if shared else None
