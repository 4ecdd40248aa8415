"""Two runs, or two groups of runs, compared on the same test images."""

from __future__ import annotations

import glob
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.evaluation import COCO, EVALUATIONS
from odinw_bench.metrics.resampling import compare_shares
from odinw_bench.metrics.stats import Comparison, Summary, paired_bootstrap, summarize
from odinw_bench.report.datasets import dataset_names
from odinw_bench.report.document import listed
from odinw_bench.report.testdata import open_test_data, read_predictions
from odinw_bench.runs.archive import archived_record
from odinw_bench.runs.record import RunRecord, Unreadable, find_records, read_record
from odinw_bench.runs.spec import UNTUNED


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: of its record.
        record: of it.
        dataset: the data set's name, or a longer one where two share it; empty: the record's.
    """

    folder: Path
    record: RunRecord
    dataset: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Suite, data set and split: runs of one place can be compared."""
        spec = self.record.spec
        return spec.suite, self.dataset or spec.dataset, spec.eval_split

    @property
    def seed(self) -> int:
        """Of subset and tuning."""
        return self.record.spec.seed

    @property
    def is_tuned(self) -> bool:
        """Whether its seed made a difference."""
        return self.record.spec.mode not in UNTUNED

    @property
    def name(self) -> str:
        """Model, mode and shots."""
        spec = self.record.spec
        shots = "" if spec.shots == 0 else f" {spec.shots}-shot"
        return f"{spec.model} {spec.mode}{shots}"

    @property
    def test_sha256(self) -> str:
        """Hash of the annotations it was tested on; empty: not known."""
        return self.record.test_sha256


@dataclass(frozen=True)
class Pair:
    """Two runs on one data set, compared.

    Attributes:
        a: first run.
        b: second run.
        images: number of test images.
        result: AP of A minus AP of B, or of the metric that their evaluation has in its place.
    """

    a: Run
    b: Run
    images: int
    result: Comparison

    @property
    def metric(self) -> str:
        """AP, or what their evaluation has in its place."""
        return self.a.record.headline


def find_runs(text: str) -> list[Run]:
    """The finished runs that a folder or a pattern of folders names.

    Raises:
        InputError: there is none, or a single folder holds a failed run.
    """
    # Path.glob knows no absolute patterns.
    folders = [Path(text)] if Path(text).exists() else [Path(found) for found in sorted(glob.glob(text))]  # noqa: PTH207
    if not folders and archived_record(Path(text)) is not None:
        raise InputError(f"the run '{text}' is archived without its predictions; nothing can be compared with it")
    if not folders:
        raise InputError(f"no run at '{text}'; give a run's folder, or a pattern of such folders in quotes")
    runs: list[Run] = []
    unreadable: list[Unreadable] = []
    for folder in folders:
        if (folder / "run.json").is_file() or folder.name == "run.json":
            runs.append(Run(folder if folder.is_dir() else folder.parent, read_record(folder)))
        elif folder.is_dir():
            runs += [Run(found, record) for found, record in find_records(folder, unreadable)]
    done = [run for run in runs if run.record.is_done]
    if not done:
        why = f"the run failed: {runs[0].record.error}" if runs else "no run record there"
        if unreadable and not runs:
            why = f"{unreadable[0].folder / 'run.json'} cannot be read: {unreadable[0].reason}"
        raise InputError(f"nothing to compare at '{text}': {why}")
    return _distinguished(done)


def _distinguished(runs: Sequence[Run]) -> list[Run]:
    """The runs, those of two data sets of one name under different names."""
    names = dataset_names([run.record for run in runs])
    return [replace(run, dataset=name) for run, name in zip(runs, names, strict=True)]


def pair_up(first: Sequence[Run], second: Sequence[Run]) -> tuple[list[tuple[Run, Run]], list[str]]:
    """Runs of the same data set and seed; a side with one run that tuned nothing meets every seed of the other.

    One run against one is a pair whatever their seeds: both were named.

    Returns:
        the pairs by data set and seed, and notes on the runs that found no partner.

    Raises:
        InputError: nothing can be paired, or a side has several runs of one data set and seed.
    """
    both = _distinguished([*first, *second])
    sides = [_by_place(both[: len(first)], "A"), _by_place(both[len(first) :], "B")]
    named = len(first) == len(second) == 1
    pairs, alone = [], []
    for place in sorted({*sides[0], *sides[1]}):
        a, b = (side.get(place, {}) for side in sides)
        if b and (lone := _lone(a, named)):
            a = dict.fromkeys(b, lone)
        elif a and (lone := _lone(b, named)):
            b = dict.fromkeys(a, lone)
        pairs += [(a[seed], b[seed]) for seed in sorted({*a} & {*b})]
        lost = sorted({*a} ^ {*b})
        if lost:
            alone.append(f"{'/'.join(place[:2])}: seeds {listed([str(seed) for seed in lost])} are on one side only")
    if not pairs:
        raise InputError(
            f"A and B have no data set and seed in common: A is {_places(sides[0])}, B is {_places(sides[1])}"
        )
    return pairs, alone


def _lone(runs: Mapping[int, Run], named: bool) -> Run | None:
    """The one run of a side that may meet any seed: chance is in the subset and in tuning alone."""
    run = next(iter(runs.values())) if len(runs) == 1 else None
    return run if run is not None and (named or not run.is_tuned) else None


def _by_place(runs: Sequence[Run], side: str) -> dict[tuple[str, str, str], dict[int, Run]]:
    found: dict[tuple[str, str, str], dict[int, Run]] = {}
    for run in runs:
        other = found.setdefault(run.place, {}).setdefault(run.seed, run)
        if other is not run:
            raise InputError(
                f"{side} holds two runs of {'/'.join(run.place[:2])} with seed {run.seed}, '{other.folder}' and "
                f"'{run.folder}': give a narrower pattern"
            )
    return found


def _places(side: dict[tuple[str, str, str], dict[int, Run]]) -> str:
    return listed([f"{suite}/{dataset} seed {seed}" for (suite, dataset, _), runs in side.items() for seed in runs], 4)


def compare_pairs(
    pairs: Sequence[tuple[Run, Run]],
    *,
    samples: int,
    seed: int,
    data_root: Path | None = None,
    data: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[Pair]:
    """Bootstrap every pair.

    Args:
        pairs: from :func:`pair_up`.
        samples: number of resamples.
        seed: of the resampling.
        data_root: folder of the official data.
        data: folders of the user's own data sets.
        say: called with a line of text at each step.

    Raises:
        InputError: two runs were tested on different data, these are not here, or predictions are missing.
    """
    made = []
    for a, b in pairs:
        suite, dataset, split = a.place
        spec = a.record.spec
        if a.test_sha256 and b.test_sha256 and a.test_sha256 != b.test_sha256:
            raise InputError(
                f"'{a.folder}' and '{b.folder}' were tested on different data: their annotations have the hashes "
                f"{a.test_sha256[:12]} and {b.test_sha256[:12]}"
            )
        for run in (a, b):
            _check_resampling(run)
        say(f"{suite}/{dataset}: {samples} resamples")
        sha256 = a.test_sha256 or b.test_sha256
        test = open_test_data(
            suite, spec.dataset, split, sha256, data_root=data_root, data=data, folder=a.record.data_folder
        )
        found = [read_predictions(run.folder) for run in (a, b)]
        evaluation = EVALUATIONS[a.record.evaluation.get("name", COCO)]
        counts = [evaluation.counts(test.split, one) for one in found]
        if counts[0] is None or counts[1] is None:
            result = paired_bootstrap(test.split.annotations, found[0], found[1], samples, seed)
        else:
            result = compare_shares(counts[0], counts[1], samples, seed)
        made.append(Pair(a, b, len(test.split), result))
    return made


def _check_resampling(run: Run) -> None:
    """Refuse a run whose metric is not counted image by image.

    Raises:
        InputError: it is not.
    """
    name = run.record.evaluation.get("name", COCO)
    if name != COCO and not (name in EVALUATIONS and EVALUATIONS[name].counted):
        raise InputError(
            f"'{run.folder}' was tested by {name}: only runs that were tested by COCO's AP, or by counting what is "
            "found in each image, can be compared by resampling; 'odinw-bench show' prints the metrics of one"
        )


def over_tasks(pairs: Sequence[Pair]) -> Summary:
    """The differences averaged over seeds, then summarised over data sets."""
    by_place: dict[tuple[str, str, str], list[float]] = {}
    for pair in pairs:
        by_place.setdefault(pair.a.place, []).append(pair.result.difference)
    return summarize([statistics.fmean(values) for values in by_place.values()])
