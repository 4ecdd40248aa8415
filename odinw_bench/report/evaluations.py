"""Runs of other evaluations than COCO's: a section each, apart from ODinW's tables and averages."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from odinw_bench.report.document import Column, Section, Table, number_cell, text_cell
from odinw_bench.report.other_runs import OtherRun
from odinw_bench.runs.record import RunRecord
from odinw_bench.utils.plugins import load_object
from odinw_bench.utils.text import slug

Found = Sequence[OtherRun]
"""Finished runs of one evaluation."""

SectionOf = Callable[[str, Found], Section]
"""From an evaluation's key, which is safe in the names of files and anchors, and its runs to its section."""


def evaluation_sections(others: Found) -> list[Section]:
    """A section for each evaluation that there are runs of, by its name."""
    by_name: dict[str, list[OtherRun]] = {}
    for run in others:
        by_name.setdefault(str(run.record.evaluation["name"]), []).append(run)
    return [_section_of(name)(slug(name, unique=True), by_name[name]) for name in sorted(by_name)]


def _section_of(name: str) -> SectionOf:
    return load_object(SECTIONS_OF[name], "report section", here=False) if name in SECTIONS_OF else plain_section


def plain_section(key: str, found: Found) -> Section:
    """The metrics that the records say are to be shown, and where they come from."""
    title = f"Evaluation {found[0].record.evaluation['name']}"
    return Section(f"evaluation-{key}", title, tables=[metrics_table(key, found), made_by(key, found)])


def metrics_table(key: str, found: Found) -> Table:
    """A row per task, split and configuration: the means over seeds of the shown metrics, in percent."""
    shown = list(dict.fromkeys(metric for run in found for metric in run.record.shown))
    shown = shown or [found[0].record.headline]
    rows = [
        [
            *map(text_cell, config),
            *(number_cell(mean([record.number(metric) for record in records])) for metric in shown),
        ]
        for config, records in grouped(found).items()
    ]
    columns = [
        *map(Column, CONFIG),
        *(Column(metric, numeric=True, hint="percent, mean over seeds") for metric in shown),
    ]
    return Table(f"{key}-metrics", "Metrics in percent", columns, rows)


CONFIG = ("suite", "task", "split", "model", "mode", "shots", "seeds")
"""The columns that say what a row is of."""


def grouped(found: Found) -> Mapping[tuple[str, ...], list[RunRecord]]:
    """The runs by :data:`CONFIG`, sorted, those of one row by seed; what sets a run apart stands with its model."""
    by_config: dict[tuple[str, ...], dict[int, RunRecord]] = {}
    for run in found:
        by_config.setdefault(run.config, {})[run.seed] = run.record
    return {
        (*config, ", ".join(map(str, sorted(runs))) if config[-1] != "0" else "-"): [
            runs[seed] for seed in sorted(runs)
        ]
        for config, runs in sorted(by_config.items())
    }


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where a value is missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def made_by(key: str, found: Found) -> Table:
    """Versions, hardware and data of the runs."""
    facts = ("odinw_bench", "git_revision", "torch", "device_name")
    counts: dict[tuple[str, ...], int] = {}
    for run in found:
        environment = (str(run.record.environment.get(fact) or "") for fact in facts)
        row = (*environment, run.record.test_sha256[:16])
        counts[row] = counts.get(row, 0) + 1
    columns = [Column("runs", numeric=True), *map(Column, ("odinw-bench", "revision", "torch", "device", "test data"))]
    rows = [[number_cell(counts[row], 0), *map(text_cell, row)] for row in sorted(counts)]
    return Table(f"{key}-made-by", "Where the numbers come from", columns, rows)


SECTIONS_OF: Mapping[str, str] = {
    "flickr": "odinw_bench.report.sentences:flickr_section",
    "refexp": "odinw_bench.report.sentences:refexp_section",
    "rf100vl": "odinw_bench.report.rf100vl:rf100vl_section",
}
"""Sections of their own by the evaluation's name, as ``PACKAGE.MODULE:FUNCTION``, a :data:`SectionOf`; others have
:func:`plain_section`."""
