"""The sections that a report has for each suite, in their order. A section is one function of a suite's runs.

The program's are in :data:`SECTIONS`. Others are given as ``PACKAGE.MODULE:FUNCTION``, or declared by their package as
entry points of the group ``odinw_bench.report_sections``; they stand after the program's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from glip_core.errors import InputError
from odinw_bench.report.adapting import adapting_section
from odinw_bench.report.analysis import cost_table, prompt_section, seen_section
from odinw_bench.report.averages import Suite
from odinw_bench.report.conclusion import conclusion_section
from odinw_bench.report.document import Column, Figure, Section, Table, number_cell
from odinw_bench.report.figures import heat_figures, model_curves, shot_curves
from odinw_bench.report.tables import CONFIG_COLUMNS, config_cells, dataset_key, headline, heat_map, is_single, ladder
from odinw_bench.report.tradeoffs import cost_figure
from odinw_bench.utils.plugins import declared, load_object

SuiteSection = Callable[[Suite], Section | None]
"""From the runs of one suite to a section; None where there is nothing to show. ``Suite.key`` makes its keys."""

GROUP = "odinw_bench.report_sections"


def results_section(suite: Suite) -> Section | None:
    """AP of every configuration; of one task alone its own section says it."""
    if is_single(suite):
        return None
    return section(suite, "headline", "Results", [headline(suite)])


def few_shot_section(suite: Suite) -> Section | None:
    """AP by shots with its uncertainty: a panel per model, a curve per mode."""
    return section(suite, "few-shot", "Few-shot curves", figures=[shot_curves(suite)])


def modes_section(suite: Suite) -> Section | None:
    """The models compared, mode by mode."""
    return section(suite, "modes", "Models compared, mode by mode", figures=[model_curves(suite)], folded=True)


def ladder_section(suite: Suite) -> Section | None:
    """What each model adds to the one before it."""
    return section(suite, "ladder", "Model by model", [ladder(suite)], folded=True)


def metrics_section(suite: Suite) -> Section | None:
    """Metrics beside COCO's (:mod:`odinw_bench.metrics.extra`): mean over seeds, then over the tasks that have them."""
    names = sorted({name for row in suite.scores.values() for score in row.values() for name in score.extra})
    columns = [
        *CONFIG_COLUMNS,
        *(Column(name, numeric=True, hint="mean over seeds, then tasks") for name in names),
    ]
    rows = []
    for config, row in suite.scores.items():
        found = [[score.extra[name] for score in row.values() if name in score.extra] for name in names]
        if any(found):
            means = [number_cell(statistics.fmean(values) if values else None, 2) for values in found]
            rows.append([*config_cells(config), *means])
    table = Table(suite.key("metrics"), "Other metrics", columns, rows) if rows else None
    return section(suite, "metrics", "Other metrics", [table], folded=True)


def datasets_section(suite: Suite) -> Section | None:
    """AP of every configuration on every task; of one task alone the other tables say it."""
    if is_single(suite):
        return None
    anchors = {task: dataset_key(suite, task) for task in suite.measured}
    return section(suite, "datasets", "By task", [heat_map(suite, anchors)], heat_figures(suite), folded=True)


def cost_section(suite: Suite) -> Section | None:
    """Time, memory and trained parameters."""
    return section(suite, "cost", "Cost", [cost_table(suite)], [cost_figure(suite)])


SECTIONS: Sequence[SuiteSection] = (
    conclusion_section,
    few_shot_section,
    cost_section,
    adapting_section,
    results_section,
    modes_section,
    ladder_section,
    seen_section,
    prompt_section,
    metrics_section,
    datasets_section,
)
"""The program's sections: the answer, the figures behind it, then details, which the page folds away.

To add one, write the function and list it here."""


def section(
    suite: Suite,
    part: str,
    title: str,
    tables: Sequence[Table | None] = (),
    figures: Sequence[Figure | None] = (),
    *,
    folded: bool = False,
) -> Section | None:
    """A section of those tables and figures that there are; None where there are none."""
    made, drawn = [table for table in tables if table], [figure for figure in figures if figure]
    return Section(suite.key(part), title, tables=made, figures=drawn, folded=folded) if made or drawn else None


def added_sections(given: Sequence[str]) -> list[SuiteSection]:
    """The sections of other packages: the declared ones, then those given.

    Args:
        given: each as ``PACKAGE.MODULE:FUNCTION``.

    Raises:
        InputError: one cannot be imported or is no function.
    """
    targets = dict.fromkeys([*declared(GROUP).values(), *given])
    return [_guarded(target, load_object(target, "report section")) for target in targets]


def _guarded(target: str, build: SuiteSection) -> SuiteSection:
    """A section of another package, whose faults are reported in one line that names it."""
    if not callable(build):
        raise InputError(f"the report section '{target}' is not a function of a suite")

    def guarded(suite: Suite) -> Section | None:
        try:
            made = build(suite)
        except Exception as error:
            raise InputError(f"the report section '{target}' failed: {type(error).__name__}: {error}") from error
        if made is not None and not isinstance(made, Section):
            raise InputError(f"the report section '{target}' must return a Section or None, not {type(made).__name__}")
        return made

    return guarded


__all__ = ["SECTIONS", "SuiteSection", "added_sections", "section"]
