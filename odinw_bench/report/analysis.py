"""What the numbers say beyond a mean: names seen and unseen, hand-written prompts, cost."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from odinw_bench.metrics.published import published_cost
from odinw_bench.models import is_embedded
from odinw_bench.report.averages import Score, Suite, average, difference
from odinw_bench.report.document import NOTHING, Cell, Column, Section, Table, listed, number_cell, text_cell
from odinw_bench.report.tables import CONFIG_COLUMNS, config_cells, difference_cells

MINI = "mini"


def seen_names() -> dict[str, dict[str, bool]]:
    """For each task of the miniature, whether pre-training shows each class under its name."""
    from odinw_bench.mini import load_recipe, task_names

    return {task: {entry.name: entry.seen for entry in load_recipe(task).classes} for task in task_names()}


def seen_section(suite: Suite) -> Section | None:
    """Names that pre-training knows against names it never heard, for the miniature."""
    if suite.base != MINI:
        return None
    seen = seen_names()
    columns = [
        *CONFIG_COLUMNS,
        Column("seen names", numeric=True, hint="mean AP over the classes of each task, then over tasks"),
        Column("of tasks", numeric=True, hint="tasks with a seen name"),
        Column("unseen names", numeric=True, hint="likewise"),
        Column("of tasks ", numeric=True, hint="tasks with an unseen name"),
        Column("seen − unseen", numeric=True),
    ]
    rows, uneven = [], False
    for config, row in suite.scores.items():
        if not is_embedded(config.model) or "weights " in config.variant:
            continue  # another pre-training, which may have shown any name
        known, new = _split_mean(row, seen, True), _split_mean(row, seen, False)
        uneven |= known[1] != new[1]
        gap = known[0] - new[0] if known[0] is not None and new[0] is not None else None
        cells = [cell for mean, tasks in (known, new) for cell in _mean_cells(mean, tasks)]
        rows.append([*config_cells(config), *cells, number_cell(gap, sign=True)])
    if not rows:
        return None
    note = "Only some tasks have names of both kinds, so the two means are over different tasks: their number is given."
    notes = [note] if uneven else []
    table = Table(suite.key("seen"), "AP on names seen in pre-training and on unseen ones", columns, rows, notes)
    text = (
        "The miniature's pre-training shows common things under their names; the names of the others never occur in "
        "it, only their attributes do.",
    )
    return Section(suite.key("seen"), "Names seen and unseen", text=text, tables=[table], folded=True)


def _split_mean(
    row: Mapping[str, Score], seen: Mapping[str, Mapping[str, bool]], wanted: bool
) -> tuple[float | None, list[str]]:
    """Mean over classes within each task, then over tasks."""
    by_task = {}
    for task, score in row.items():
        values = [ap for name, ap in score.classes.items() if seen.get(task, {}).get(name) is wanted]
        if values:
            by_task[task] = statistics.fmean(values)
    return (statistics.fmean(by_task.values()) if by_task else None), sorted(by_task)


def _mean_cells(mean: float | None, tasks: Sequence[str]) -> list[Cell]:
    return [number_cell(mean), Cell(str(len(tasks)), len(tasks), hint=listed(tasks))]


def prompt_section(suite: Suite) -> Section | None:
    """Hand-written prompts against plain names, task by task."""
    pairs = [
        (config, replace(config, mode="zero-shot", variant=_without_attributes(config.variant)))
        for config in suite.scores
        if config.mode == "manual"
    ]
    pairs = [(manual, names) for manual, names in pairs if names in suite.scores]
    tasks = [task for task in suite.measured if any(task in suite.scores[manual] for manual, _ in pairs)]
    columns = [
        Column("model"),
        Column("names", numeric=True, hint="mean AP of zero-shot on the shared tasks"),
        Column("manual", numeric=True, hint="mean AP of manual on the shared tasks"),
        Column("difference", numeric=True, hint="manual minus names"),
        Column("low", numeric=True, hint="lower end of its 95 % interval over tasks"),
        Column("high", numeric=True, hint="upper end"),
        Column("shared tasks", numeric=True),
        *(Column(task, numeric=True, hint=f"difference on {suite.titles[task]}") for task in tasks),
    ]
    rows = []
    for manual, names in pairs:
        first, second = suite.scores[manual], suite.scores[names]
        shared = sorted(set(first) & set(second))
        if not shared:
            continue
        by_task = [first[task].ap - second[task].ap if task in shared else None for task in tasks]
        rows.append(
            [
                text_cell(manual.model_name),
                number_cell(average(second, shared).ap),
                number_cell(average(first, shared).ap),
                *difference_cells(difference(first, second)),
                *(number_cell(value, sign=True) for value in by_task),
            ]
        )
    if not rows:
        return None
    table = Table(suite.key("prompts"), "Hand-written prompts against plain names: difference in AP", columns, rows)
    return Section(suite.key("prompts"), "Manual prompts against names", tables=[table], folded=True)


def _without_attributes(variant: str) -> str:
    return ", ".join(part for part in variant.split(", ") if not part.startswith("attributes "))


def cost_table(suite: Suite) -> Table:
    """What a configuration costs beside what it reaches: means over its own tasks and seeds.

    Of one task alone its own section says the AP.
    """
    single = len(suite.tasks) == 1
    columns = [
        *CONFIG_COLUMNS,
        *(() if single else (Column("AP", numeric=True, best=True), Column("tasks", numeric=True))),
        Column("trainable parameters", numeric=True, hint="mean over tasks"),
        Column("of all %", numeric=True, hint="share of the model's parameters"),
        Column("tuning s", numeric=True, hint="seconds a run; mean over seeds, then tasks"),
        Column("test s", numeric=True, hint="seconds for the test split"),
        Column("images/s", numeric=True, hint="while testing"),
        Column("peak GB", numeric=True, hint="of memory, 10⁹ bytes: the GPU's where there was one"),
    ]
    rows = []
    for config, row in suite.scores.items():
        tuned, total = mean_cost(row, "tuned_parameters"), mean_cost(row, "total_parameters")
        peak = mean_cost(row, "peak_memory_bytes")
        over = Cell(f"{len(row)}/{len(suite.tasks)}", len(row), hint=listed(sorted(row)))
        reached = [number_cell(average(row).ap, kind="" if len(row) == len(suite.tasks) else "partial"), over]
        rows.append(
            [
                *config_cells(config),
                *(() if single else reached),
                number_cell(tuned, 0),
                number_cell(100 * tuned / total if tuned is not None and total else None, 2),
                number_cell(mean_cost(row, "tune_seconds")),
                number_cell(mean_cost(row, "test_seconds")),
                number_cell(mean_cost(row, "images_per_second")),
                number_cell(peak / 1e9 if peak is not None else None, 2),
            ]
        )
    machines = sorted({name for name in suite.runs["device_name"] if name})
    notes = [f"Measured on {listed(machines)}."] if machines else []
    if len(machines) > 1:
        notes.append("Seconds of different machines are not comparable.")
    return Table(suite.key("cost"), "Cost and accuracy", columns, rows, notes, folded=True)


def mean_cost(row: Mapping[str, Score], name: str) -> float | None:
    """Mean of a cost over tasks; None where a run has none."""
    mean = statistics.fmean(score.costs[name] for score in row.values())
    return None if mean != mean else mean


def fusion_section(profiles: Sequence[Mapping[str, Any]]) -> Section | None:
    """What deep fusion costs, out of what ``odinw-bench profile`` measured."""
    good = [row for row in profiles if "error" not in row]
    columns = [
        *(Column(name) for name in ("model", "fusion", "phase")),
        Column("batch", numeric=True),
        Column("precision"),
        Column("images/s", numeric=True),
        Column("peak GB", numeric=True, hint="of memory, 10⁹ bytes"),
        Column("GFLOPs", numeric=True, hint="an image"),
        Column("published images/s", numeric=True),
        Column("published GB", numeric=True),
        Column("device"),
    ]
    rows = [_profile_row(row) for row in good]
    if not rows:
        return None
    table = Table("fusion-cost", "Speed and memory with and without deep fusion", columns, rows)
    return Section("fusion-cost", "What fusion costs", tables=[table])


def _profile_row(row: Mapping[str, Any]) -> list[Cell]:
    settings = row["settings"]
    paper = published_cost(settings["model"], settings["phase"], fusion=settings["fusion"])
    return [
        text_cell(settings["model"]),
        text_cell("yes" if settings["fusion"] else "no"),
        text_cell(settings["phase"]),
        number_cell(settings["batch"], 0),
        text_cell(settings["precision"]),
        number_cell(row["images_per_second"], 2),
        number_cell(row["peak_memory_bytes"] / 1e9, 2),
        number_cell(row["gflops"]),
        *(
            [
                number_cell(paper.images_per_second, 2, hint=paper.source, kind="published"),
                number_cell(paper.gigabytes, hint=paper.source, kind="published"),
            ]
            if paper
            else [NOTHING, NOTHING]
        ),
        text_cell(row["environment"]["device_name"]),
    ]
