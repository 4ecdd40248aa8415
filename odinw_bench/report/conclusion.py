"""What a suite's runs answer: with so many labelled images, which way, what to expect, at what cost, how sure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odinw_bench.metrics.stats import PERCENT, Summary, summarize
from odinw_bench.report.analysis import MINI, mean_cost
from odinw_bench.report.averages import AS_PUBLISHED, Config, Score, Suite, average, common_tasks, shots_rank
from odinw_bench.report.averages import difference as difference_over_tasks
from odinw_bench.report.document import Cell, Column, Section, Table, format_number, listed, text_cell
from odinw_bench.utils.text import counted

_NAMED = 3  # of those that nothing is decided against


@dataclass(frozen=True)
class Rival:
    """A configuration beside the best one.

    Attributes:
        config: which.
        behind: AP of the best minus its AP, paired over tasks, or over seeds where there is one task.
        decided: the interval of the difference does not hold zero; False also where there is no interval.
    """

    config: Config
    behind: Summary
    decided: bool


@dataclass(frozen=True)
class Choice:
    """The best configuration with so many labelled images per class.

    Attributes:
        shots: how many, as in the records.
        best: the configuration with the highest mean AP.
        expected: its AP over the tasks, or over the seeds where there is one task.
        over: what ``expected`` is over, in words.
        tasks: the data sets that all were compared on.
        rivals: the others, the closest first.
        left_out: those that lack some of the data sets.
        row: scores of the best one on ``tasks``.
    """

    shots: str
    best: Config
    expected: Summary
    over: str
    tasks: Sequence[str]
    rivals: Sequence[Rival]
    left_out: Sequence[Config]
    row: Mapping[str, Score]

    @property
    def undecided(self) -> list[Rival]:
        """Those that the best one is not surely better than."""
        return [rival for rival in self.rivals if not rival.decided]


def choices(suite: Suite) -> list[Choice]:
    """The best configuration for each number of labelled images, fewest first."""
    measured = [config for config in suite.scores if config.mode != AS_PUBLISHED]
    return [
        _choice(suite, shots, [config for config in measured if config.shots == shots])
        for shots in sorted({config.shots for config in measured}, key=shots_rank)
    ]


def _choice(suite: Suite, shots: str, configs: Sequence[Config]) -> Choice:
    tasks, kept = common_tasks(suite.scores, configs)
    ap = {config: average(suite.scores[config], tasks).ap for config in kept}
    best = max(kept, key=lambda config: ap[config])
    row = {task: suite.scores[best][task] for task in tasks}
    rivals = [_rival(suite, best, config, tasks) for config in kept if config != best]
    rivals.sort(key=lambda rival: rival.behind.mean)
    if len(tasks) > 1:
        expected, over = summarize([score.ap for score in row.values()], limits=PERCENT), counted(len(tasks), "task")
    else:
        seeds = list(row[tasks[0]].seeds.values())
        expected, over = summarize(seeds, limits=PERCENT), counted(len(seeds), "seed")
    left_out = [config for config in configs if config not in kept]
    return Choice(shots, best, expected, over, tasks, rivals, left_out, row)


def _rival(suite: Suite, best: Config, config: Config, tasks: Sequence[str]) -> Rival:
    first, second = suite.scores[best], suite.scores[config]
    if len(tasks) > 1:
        behind = difference_over_tasks(first, second, tasks)
        assert behind is not None  # the tasks are shared
    else:
        a, b = first[tasks[0]], second[tasks[0]]
        shared = sorted(set(a.seeds) & set(b.seeds))
        behind = summarize([a.seeds[seed] - b.seeds[seed] for seed in shared] or [a.ap - b.ap])
    return Rival(config, behind, behind.low is not None and behind.low > 0)


def conclusion_section(suite: Suite) -> Section | None:
    """What to use with how many labelled images, before all details."""
    made = choices(suite)
    if not made:
        return None
    columns = [
        Column("images per class", numeric=True, hint="labelled images of each class; 0: nothing is tuned"),
        Column("use"),
        Column("expect AP", numeric=True, hint="mean over seeds, then over tasks; percent"),
        Column("95 % interval", numeric=True, hint="of that mean"),
        Column("costs", hint="seconds of tuning a run, trainable parameters, peak memory; means over tasks"),
        Column("not decided against", hint="the paired difference's 95 % interval holds zero, or there is none"),
    ]
    title = f"{suite.titles[suite.measured[0]]}: what to use" if len(suite.tasks) == 1 else "What to use"
    table = Table(suite.key("conclusion"), title, columns, [_row(one) for one in made], _notes(suite, made), cards=True)
    text = [_summary(made), *_of_one_split(suite)]
    return Section(suite.key("conclusion"), "Conclusion", text=text, tables=[table])


def _of_one_split(suite: Suite) -> list[str]:
    """That other splits are not compared with this one; nothing where all runs are of one."""
    if not suite.others:
        return []
    return [
        f"These are the runs that were tested {suite.split}. Those {' and '.join(suite.others)} are in sections of "
        "their own: numbers of different splits are not comparable."
    ]


def _summary(made: Sequence[Choice]) -> str:
    shown = list({id(one): one for one in (made[0], made[-1])}.values())
    parts = [f"{_with(one.shots)}, {_way(one.best)}: AP {_expected(one)}" for one in shown]
    text = "; ".join(parts)
    text = f"{text[0].upper()}{text[1:]}."
    kinds = (
        ([one for one in made if one.rivals and not one.undecided], "it is better than all that it was compared with"),
        ([one for one in made if one.undecided], "the best way is not decided"),
        ([one for one in made if not one.rivals], "nothing else was measured on the same tasks to compare with"),
    )
    for found, what in kinds:
        if len(found) == len(made):
            return f"{text} {'Each time' if len(made) > 1 else 'Here'} {what}."
        if found:
            where = f"{_with_all([one.shots for one in found])}, {what}"
            text += f" {where[0].upper()}{where[1:]}."
    return text


def _with_all(shots: Sequence[str]) -> str:
    """Several numbers of labelled images, in words."""
    apart = {"0": "without labels", "all": "with all labels"}
    numbers = [one for one in shots if one not in apart]
    parts = [apart["0"]] if "0" in shots else []
    if numbers:
        several = f"{', '.join(numbers[:-1])} and {numbers[-1]}" if len(numbers) > 1 else numbers[0]
        parts.append(f"with {several} {'image' if numbers == ['1'] else 'images'} per class")
    parts += [apart["all"]] if "all" in shots else []
    return " and ".join(parts)


def _with(shots: str) -> str:
    return _with_all([shots])


def _way(config: Config) -> str:
    return f"{config.model_name} {config.mode}"


def _expected(one: Choice) -> str:
    interval = _interval(one.expected)
    return format_number(one.expected.mean) + (f" ({interval} over {one.over})" if interval else "")


def _interval(summary: Summary, *, sign: bool = False) -> str:
    if summary.low is None or summary.high is None:
        return ""
    return f"{format_number(summary.low, sign=sign)} to {format_number(summary.high, sign=sign)}"


def _row(one: Choice) -> list[Cell]:
    mean, interval = one.expected.mean, _interval(one.expected)
    return [
        Cell(one.shots, shots_rank(one.shots), written=one.shots),
        text_cell(_way(one.best)),
        Cell(format_number(mean), round(mean, 4), hint=f"over {one.over}"),
        Cell(interval or "–", one.expected.low, hint=f"over {one.over}", written=interval or None),
        text_cell(_costs(one.row)),
        text_cell(_undecided(one)),
    ]


def _costs(row: Mapping[str, Score]) -> str:
    seconds, tuned = mean_cost(row, "tune_seconds"), mean_cost(row, "tuned_parameters")
    peak = mean_cost(row, "peak_memory_bytes")
    parts = []
    if tuned == 0:
        parts.append("no tuning")
    elif seconds is not None:
        parts.append(f"{format_number(seconds, 0 if seconds >= 10 else 1)} s of tuning")
    if tuned:
        parts.append(f"{format_number(tuned, 0)} parameters")
    if peak is not None:
        parts.append(f"{format_number(peak / 1e9, 2)} GB")
    return ", ".join(parts) or "not recorded"


def _undecided(one: Choice) -> str:
    if not one.rivals:
        return "nothing else was measured on these tasks"
    found = one.undecided
    if not found:
        others = "the only other is" if len(one.rivals) == 1 else f"all {len(one.rivals)} others are"
        return f"decided: {others} worse"
    named = [_against(rival) for rival in found[:_NAMED]]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(named) + more


def _against(rival: Rival) -> str:
    interval = _interval(rival.behind, sign=True)
    return f"{_way(rival.config)} ({format_number(rival.behind.mean, sign=True)}{', ' + interval if interval else ''})"


def _notes(suite: Suite, made: Sequence[Choice]) -> list[str]:
    compared = [one for one in made if one.rivals]
    single = {len(one.tasks) == 1 for one in compared or made}
    paired = (
        "tasks, or over seeds where there is one task" if len(single) > 1 else "seeds" if True in single else "tasks"
    )
    notes = [
        f"Not decided: the difference of AP, paired over {paired}, has a 95 % interval that holds zero, or was "
        "measured once; in brackets: AP of the way to use minus that of the other. Which way is best was chosen by "
        "these same numbers, so expect a little less."
    ]
    if not compared:
        notes = []
    elif True in single:
        notes[0] += " Intervals over seeds leave out how few the test images are."
    if len({tuple(one.tasks) for one in made}) > 1:
        notes.append("The lines are over different tasks: " + "; ".join(_over(one) for one in made) + ".")
    missing = dict.fromkeys(config.name for one in made for config in one.left_out)
    if missing:
        notes.append(f"Not compared, since they lack some of the tasks: {listed(list(missing), 12)}.")
    text = f"From {counted(len(suite.runs), 'finished run')}, {len(suite.failed)} failed."
    if len(suite.tasks) > 1:
        text += f" {len(suite.measured)} of {len(suite.tasks)} tasks: {listed(suite.measured)}."
    if suite.base == MINI:
        text += " The suite mini is drawn: its numbers are not comparable with those of the real ODinW data."
    return [*notes, text]


def _over(one: Choice) -> str:
    return f"{one.shots}: {listed(one.tasks)}"


def spread(row: Mapping[str, Score], tasks: Sequence[str], kind: str) -> Summary | None:
    """The interval of a point of a curve.

    Args:
        row: scores of a configuration.
        tasks: the data sets of the mean.
        kind: ``seeds`` or ``tasks``: what the interval is over.

    Returns:
        None where there is one seed or task only.
    """
    if kind == "seeds":
        return average(row, tasks).over_seeds
    values = [row[task].ap for task in tasks]
    return summarize(values, limits=PERCENT) if len(values) > 1 and statistics.pstdev(values) > 0 else None
