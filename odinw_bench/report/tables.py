"""The tables of results: headline, ladder, heat map, one per data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glip_core.config import PRESETS
from odinw_bench.metrics.stats import Summary
from odinw_bench.report.averages import Average, Config, Score, Suite, average, common_tasks, difference, shots_rank
from odinw_bench.report.document import (
    NOTHING,
    Cell,
    Column,
    Gallery,
    Section,
    Table,
    format_number,
    listed,
    number_cell,
    text_cell,
)
from odinw_bench.report.published import (
    ABOUT_IDS,
    OFFICIAL_IDS,
    PUBLISHED_COLUMNS,
    PublishedMean,
    official_code_mean,
    published_cell,
    published_mean,
    published_notes,
    released_mean,
)
from odinw_bench.report.published import SUITE as PUBLISHED_SUITE
from odinw_bench.utils.text import counted, slug

CONFIG_COLUMNS = (
    Column("model"),
    Column("mode"),
    Column("shots", numeric=True, hint="images per class; 0: nothing was tuned"),
)


def config_cells(config: Config) -> list[Cell]:
    """Model, mode and shots."""
    shots = Cell(config.shots, shots_rank(config.shots), written=config.shots)
    return [text_cell(config.model_name), text_cell(config.mode), shots]


def headline(suite: Suite) -> Table:
    """Models x modes x shots: the mean over data sets with what it was taken over."""
    published = suite.base == PUBLISHED_SUITE
    shared, kept = common_tasks(suite.scores)
    uneven = len({frozenset(row) for row in suite.scores.values()}) > 1
    columns = [
        *CONFIG_COLUMNS,
        Column("AP", numeric=True, hint="mean over seeds for each task, then over tasks; percent", best=True),
        Column(
            "± seeds",
            numeric=True,
            hint="half the length of the 95 % interval of the mean over seeds (logit, so within 0 and 100)",
        ),
        Column("± tasks", numeric=True, hint="half the length of the 95 % interval of the mean over tasks (likewise)"),
        Column("AP50", numeric=True, best=True),
        Column("tasks", numeric=True, hint="tasks the mean is over, of all in the suite"),
        Column("seeds", numeric=True, hint="seeds each task was run with"),
    ]
    if uneven:
        name = f"AP on {len(shared)} shared"
        columns.append(Column(name, numeric=True, hint=f"mean over {listed(shared)}", best=True))
    means = {config: average(row) for config, row in suite.scores.items()}
    official = any(mean.official_ids is not None for mean in means.values())
    if official:
        columns.append(OFFICIAL_IDS)
    if published:
        columns += [
            Column("published", numeric=True, hint="from the paper, on the same tasks; source on each number"),
            Column("difference", numeric=True, hint="measured minus published; where there is one, AP official ids"),
            Column("released weights", numeric=True, hint="zero-shot mean by the README of the official code"),
            Column("official code", numeric=True, hint="zero-shot, the official code run by others on 'val'"),
        ]
    rows = []
    shown: list[PublishedMean] = []
    for config, row in suite.scores.items():
        mean = means[config]
        partial = "partial" if len(mean.tasks) < len(suite.tasks) else ""
        cells = [
            *config_cells(config),
            number_cell(mean.ap, hint=_taken_over(mean), kind=partial),
            _half_width(mean.over_seeds, "seeds"),
            _half_width(mean.over_tasks, "tasks"),
            number_cell(mean.ap50, kind=partial),
            Cell(f"{len(mean.tasks)}/{len(suite.tasks)}", len(mean.tasks), hint=listed(mean.tasks), kind=partial),
            _seeds(mean),
        ]
        if uneven:
            cells.append(number_cell(average(row, shared).ap if config in kept and shared else None))
        likened = mean.ap if mean.official_ids is None else mean.official_ids
        if official:
            cells.append(number_cell(mean.official_ids))
        if published:
            paper, released, code = found = [
                take(config, mean.tasks) for take in (published_mean, released_mean, official_code_mean)
            ]
            shown += [number for number in found if number]
            gap = number_cell(likened - paper.ap, sign=True) if paper else NOTHING
            cells += [published_cell(paper), gap, published_cell(released), published_cell(code)]
        rows.append(cells)
    return Table(
        suite.key("headline"),
        "AP in percent: models, modes and shots",
        columns,
        rows,
        [*_headline_notes(suite, shared), *published_notes(shown), *([ABOUT_IDS] if official else [])],
    )


def _headline_notes(suite: Suite, shared: Sequence[str]) -> list[str]:
    notes = []
    sets = {frozenset(row) for row in suite.scores.values()}
    partial = sum(len(row) < len(suite.tasks) for row in suite.scores.values())
    if len(sets) == 1 and partial:
        notes.append(
            f"Every mean is over the same {len(shared)} of the suite's {len(suite.tasks)} tasks: {listed(shared)}."
        )
    elif partial:
        notes.append(
            f"{partial} of {len(suite.scores)} rows {'is a mean' if partial == 1 else 'are means'} over fewer than the "
            f"suite's {len(suite.tasks)} tasks (set in italics). Only means over the same tasks are comparable: see "
            f"the column of the {len(shared)} shared ones, which are {listed(shared)}."
        )
    return notes


def _taken_over(mean: Average) -> str:
    low, high = mean.seeds
    seeds = counted(low, "seed") if low == high else f"{low} to {high} seeds"
    return f"mean over {counted(len(mean.tasks), 'task')}, {seeds} each: {listed(mean.tasks)}"


def _half_width(summary: Summary | None, what: str) -> Cell:
    if summary is None or summary.low is None or summary.high is None:
        return Cell("–", None, hint=f"one of the {what} only: no interval")
    hint = (
        f"95 % interval {format_number(summary.low)} to {format_number(summary.high)} over {summary.count} {what}; "
        f"standard deviation {format_number(summary.sample_std or 0.0)} (n−1), "
        f"{format_number(summary.population_std)} (n)"
    )
    return number_cell((summary.high - summary.low) / 2, hint=hint)


def _seeds(mean: Average) -> Cell:
    low, high = mean.seeds
    return Cell(str(low) if low == high else f"{low}–{high}", low, kind="" if low == high else "partial")


def ladder(suite: Suite) -> Table | None:
    """Model by model: what each rung adds to the one before, on the tasks that both have."""
    rungs: dict[tuple[str, str, str], list[Config]] = {}
    for config in suite.scores:
        if not config.variant and config.model in PRESETS:
            rungs.setdefault((PRESETS[config.model].family, config.mode, config.shots), []).append(config)
    columns = [
        Column("mode"),
        Column("shots", numeric=True),
        Column("model"),
        Column("AP", numeric=True, hint="mean over this model's own tasks"),
        Column("tasks", numeric=True),
        Column("against"),
        Column("difference", numeric=True, hint="mean of the differences, task by task"),
        Column("low", numeric=True, hint="lower end of its 95 % interval over tasks"),
        Column("high", numeric=True, hint="upper end"),
        Column("shared tasks", numeric=True),
    ]
    rows = []
    for configs in rungs.values():
        if len(configs) < 2:
            continue
        configs.sort(key=lambda config: PRESETS[config.model].has_text)  # the class head is where the ladder stands
        for before, config in zip([None, *configs[:-1]], configs, strict=True):
            mean = average(suite.scores[config])
            step = difference(suite.scores[config], suite.scores[before]) if before else None
            rows.append(
                [
                    text_cell(config.mode),
                    config_cells(config)[2],
                    text_cell(config.model),
                    number_cell(mean.ap),
                    Cell(f"{len(mean.tasks)}/{len(suite.tasks)}", len(mean.tasks)),
                    text_cell(before.model) if before else NOTHING,
                    *difference_cells(step),
                ]
            )
    return Table(suite.key("ladder"), "What each model adds to the one before it", columns, rows) if rows else None


def difference_cells(step: Summary | None) -> list[Cell]:
    """A difference, both ends of its interval, and the number of tasks."""
    if step is None:
        return [NOTHING, NOTHING, NOTHING, NOTHING]
    ends = [number_cell(end, sign=True) for end in (step.low, step.high)]
    return [number_cell(step.mean, sign=True), *ends, Cell(str(step.count), step.count)]


def heat_map(suite: Suite, section_of: Mapping[str, str]) -> Table:
    """AP of every configuration on every data set.

    Args:
        suite: the runs.
        section_of: anchor of each data set's section.
    """
    tasks = suite.measured
    top = max((score.ap for row in suite.scores.values() for score in row.values()), default=0.0) or 1.0
    columns = [*CONFIG_COLUMNS, *(Column(task, numeric=True, hint=suite.titles[task], best=True) for task in tasks)]
    rows = [
        [*config_cells(config), *(_shaded(row.get(task), top, section_of.get(task, "")) for task in tasks)]
        for config, row in suite.scores.items()
    ]
    return Table(suite.key("datasets"), "AP by task, mean over seeds", columns, rows, ["A dash: not measured."])


def _shaded(score: Score | None, top: float, link: str) -> Cell:
    if score is None:
        return NOTHING
    seeds = ", ".join(f"seed {seed}: {format_number(ap)}" for seed, ap in score.seeds.items())
    cell = number_cell(score.ap, hint=seeds)
    return Cell(cell.text, cell.value, hint=cell.hint, shade=score.ap / top, link=link)


def dataset_section(suite: Suite, task: str, shown: Gallery) -> Section:
    """One data set: AP, its spread over seeds, AP per class, and pictures."""
    rows_of = {config: row[task] for config, row in suite.scores.items() if task in row}
    names = list(dict.fromkeys(name for score in rows_of.values() for name in score.classes))
    published, single = suite.base == PUBLISHED_SUITE, is_single(suite)
    official = any(score.official_ids is not None for score in rows_of.values())
    columns = [
        *CONFIG_COLUMNS,
        Column("AP", numeric=True, best=True),
        Column("low", numeric=True, hint="lower end of the 95 % interval over seeds (logit, so within 0 and 100)"),
        Column("high", numeric=True, hint="upper end"),
        Column("seeds", numeric=True),
        *([Column("AP50", numeric=True, best=True)] if single else ()),
        *([OFFICIAL_IDS] if official else ()),
        *(PUBLISHED_COLUMNS if published else ()),
        *(Column(name, numeric=True, hint="AP of this class", best=True) for name in names),
    ]
    rows = []
    quoted: list[PublishedMean] = []
    for config, score in rows_of.items():
        mean = average({task: score})
        ends = mean.over_seeds
        cells = [
            *config_cells(config),
            number_cell(score.ap),
            number_cell(ends.low if ends else None),
            number_cell(ends.high if ends else None),
            Cell(str(len(score.seeds)), len(score.seeds), hint=listed([str(seed) for seed in score.seeds])),
        ]
        if single:
            cells.append(number_cell(score.ap50))
        if official:
            cells.append(number_cell(score.official_ids))
        if published:
            paper, code = published_mean(config, [task]), official_code_mean(config, [task])
            quoted += [number for number in (paper, code) if number]
            cells += [published_cell(paper), published_cell(code)]
        rows.append([*cells, *(number_cell(score.classes.get(name)) for name in names)])
    runs = suite.runs[suite.runs["dataset"] == task]
    images = sorted({int(count) for count in runs["test_images"].dropna()})
    text = (
        [f"{' or '.join(map(str, images))} test images, {len(names)} {'class' if len(names) == 1 else 'classes'}."]
        if images
        else []
    )
    table = Table(
        suite.key(f"classes-{slug(task, unique=True)}"),
        f"{suite.titles[task]}: AP of the task and of each class",
        columns,
        rows,
        [*published_notes(quoted), *([ABOUT_IDS] if official else [])],
    )
    return Section(
        dataset_key(suite, task),
        suite.titles[task] if suite.titles[task].lower() == task.lower() else f"{suite.titles[task]} ({task})",
        text=text,
        tables=[table],
        gallery=shown,
        folded=not single,
    )


def is_single(suite: Suite) -> bool:
    """Whether the suite is one data set, such as one of the user's own."""
    return len(suite.tasks) == 1


def dataset_key(suite: Suite, task: str) -> str:
    """Anchor of a data set's section."""
    return suite.key(f"task-{slug(task, unique=True)}")
