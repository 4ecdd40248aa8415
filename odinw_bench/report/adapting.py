"""What a way of adapting gains, what it costs and what it destroys: one table, and gain against loss as a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from odinw_bench.metrics.stats import Summary, summarize
from odinw_bench.report.analysis import mean_cost
from odinw_bench.report.averages import Config, Score, Suite, average, difference, shots_rank
from odinw_bench.report.document import (
    NOTHING,
    Cell,
    Column,
    Figure,
    Section,
    Table,
    format_number,
    listed,
    number_cell,
)
from odinw_bench.report.drawing import COLOURS, INK, MARKERS, compose, legend_below, scatter_marks
from odinw_bench.report.load import CONFIG, KEPT_BYTES, RETENTION, rows_of
from odinw_bench.report.tables import CONFIG_COLUMNS, config_cells
from odinw_bench.runs.spec import UNTUNED
from odinw_bench.utils.escape import for_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AFTER, BEFORE = RETENTION

_NOTES = (
    "In brackets: 95 % interval of the mean difference over tasks, Student's t, on the tasks that both have.",
    "Before and after: zero-shot AP on the data sets of --retention, mean over these and then over the tasks that were "
    "tuned on. A tuned prompt changes no weight, so that other prompts find what they found before.",
)

Row = Mapping[str, Score]


def adapting_section(suite: Suite) -> Section | None:
    """Gain, cost and loss of each tuned configuration; None where no run was asked what it still knows."""
    tuned = [config for config in suite.scores if config.mode not in UNTUNED]
    if all(retained(suite.scores[config]) is None for config in tuned):
        return None
    columns = [
        *CONFIG_COLUMNS,
        Column("AP", numeric=True, hint="mean over seeds, then tasks; percent"),
        Column("tasks", numeric=True),
        Column("gain", numeric=True, hint="AP minus AP of the same model zero-shot"),
        Column("minus full", numeric=True, hint="AP minus AP of full tuning with as many shots"),
        Column("trained values", numeric=True, hint="mean over tasks"),
        Column("kept kB", numeric=True, hint="tuned.safetensors of one task, 10³ bytes"),
        Column("tuning s", numeric=True, hint="seconds a run"),
        Column("peak GB", numeric=True, hint="of memory, 10⁹ bytes: the GPU's where there was one"),
        Column("before", numeric=True, hint="AP of the base on the data sets of --retention"),
        Column("after", numeric=True, hint="AP of the tuned detector there"),
        Column("loss", numeric=True, hint="after minus before"),
    ]
    rows = [[*config_cells(config), *_cells(suite, config)] for config in tuned]
    table = Table(
        suite.key("adapting"), "Ways of adapting: gain, cost, and what is left", columns, rows, _NOTES, folded=True
    )
    drawn = loss_figure(suite)
    return Section(
        suite.key("adapting"),
        "What tuning gains and destroys",
        tables=[*_by_shots(suite, tuned), table],
        figures=[drawn] if drawn else [],
    )


def _by_shots(suite: Suite, tuned: Sequence[Config]) -> list[Table]:
    """A row a way, a column a number of images: AP, what is lost elsewhere, both also beside full tuning.

    No table for one such number.
    """
    shots = sorted({config.shots for config in tuned}, key=shots_rank)
    if len(shots) < 2:
        return []
    columns = [*CONFIG_COLUMNS[:2], *(Column(number, numeric=True) for number in shots)]
    fewer = dict(pairwise(reversed(shots)))
    ways = list(dict.fromkeys(replace(config, shots="") for config in tuned))
    kinds: Sequence[tuple[str, str, Callable[[Config], Cell]]] = (
        ("ap", "AP by labelled images per class", lambda config: number_cell(average(suite.scores[config]).ap)),
        (
            "more",
            "AP minus that with the next fewer images, by labelled images per class",
            lambda config: _interval(_minus(suite, config, shots=fewer.get(config.shots, ""))),
        ),
        (
            "behind",
            "AP minus full tuning, by labelled images per class",
            lambda config: _interval(_minus(suite, config, mode="full")),
        ),
        (
            "lost",
            "AP lost elsewhere, by labelled images per class",
            lambda config: _interval(retained(suite.scores[config])),
        ),
        (
            "left",
            "AP elsewhere minus that after full tuning, by labelled images per class",
            lambda config: _interval(_left_minus_full(suite, config)),
        ),
    )
    tables = []
    for part, caption, cell in kinds:
        rows = []
        for way in ways:
            cells = [replace(way, shots=number) for number in shots]
            found = [cell(config) if config in suite.scores else NOTHING for config in cells]
            if any(one.value is not None for one in found):
                rows.append([*config_cells(way)[:2], *found])
        notes = [] if part == "ap" else _NOTES[:1]
        tables.append(Table(suite.key(f"adapting-{part}"), caption, columns, rows, notes, folded=True))
    return tables


def _cells(suite: Suite, config: Config) -> list[Cell]:
    row = suite.scores[config]
    kept, peak = mean_cost(row, KEPT_BYTES), mean_cost(row, "peak_memory_bytes")
    return [
        number_cell(average(row).ap),
        Cell(str(len(row)), len(row), hint=listed(sorted(row))),
        _interval(gain(suite, config)),
        _interval(_minus(suite, config, mode="full")),
        number_cell(mean_cost(row, "tuned_parameters"), 0),
        number_cell(None if kept is None else kept / 1e3),
        number_cell(mean_cost(row, "tune_seconds")),
        number_cell(None if peak is None else peak / 1e9, 2),
        number_cell(mean_cost(_asked(row), BEFORE) if _asked(row) else None),
        number_cell(mean_cost(_asked(row), AFTER) if _asked(row) else None),
        _interval(retained(row)),
    ]


def gain(suite: Suite, config: Config) -> Summary | None:
    """AP of a configuration minus that of its model zero-shot, task by task; None where that was not run."""
    base = _base(suite, config)
    return None if base is None else difference(suite.scores[config], suite.scores[base])


def _base(suite: Suite, config: Config) -> Config | None:
    """The same detector zero-shot, before any tuning: other recipes begin with it too, other weights do not."""
    plain = replace(config, mode="zero-shot", shots="0")
    if plain in suite.scores:
        return plain
    runs = suite.runs[suite.runs["model"] == config.model]
    kinds: dict[Config, set[tuple[str, str]]] = {}
    for *names, detector, weights in rows_of(runs, (*CONFIG[1:], "detector", "weights_sha256")):
        kinds.setdefault(Config(*names), set()).add((detector, weights))
    own = kinds.get(config)
    return next((other for other in suite.scores if other.mode == "zero-shot" and kinds.get(other) == own), None)


def _minus(suite: Suite, config: Config, **changes: str) -> Summary | None:
    """AP of a way minus that of another mode, or with other shots, task by task; None where that was not run."""
    other = replace(config, **changes)
    return difference(suite.scores[config], suite.scores[other]) if other != config and other in suite.scores else None


def retained(row: Row) -> Summary | None:
    """AP after tuning minus AP before on other data sets, of each task that was tuned on; None: it was not asked."""
    asked = _asked(row)
    return summarize([score.costs[AFTER] - score.costs[BEFORE] for score in asked.values()]) if asked else None


def _left_minus_full(suite: Suite, config: Config) -> Summary | None:
    """AP on other data sets minus that after full tuning, task by task; None where one of the two was not asked."""
    full = {} if config.mode == "full" else suite.scores.get(replace(config, mode="full"), {})
    ours, theirs = _asked(suite.scores[config]), _asked(full)
    steps = [ours[task].costs[AFTER] - theirs[task].costs[AFTER] for task in ours if task in theirs]
    return summarize(steps) if steps else None


def _asked(row: Row) -> Row:
    """The tasks all of whose runs say what is left."""
    return {task: score for task, score in row.items() if score.costs[AFTER] == score.costs[AFTER]}


def _interval(step: Summary | None) -> Cell:
    """A difference with its interval in one cell."""
    if step is None:
        return NOTHING
    text = format_number(step.mean, 1, sign=True)
    if step.low is not None and step.high is not None:
        text += f" ({format_number(step.low, 1, sign=True)} to {format_number(step.high, 1, sign=True)})"
    return Cell(text, round(step.mean, 4), written=text)


def loss_figure(suite: Suite) -> Figure | None:
    """Gain on the task against what is lost elsewhere, a mark for each configuration."""
    points = []
    for config in suite.scores:
        won, lost = gain(suite, config), retained(suite.scores[config])
        if won is not None and lost is not None:
            points.append((config, lost.mean, won.mean))
    if not points:
        return None
    caption = (
        "Gain in AP on the task over zero-shot, against the change of zero-shot AP on other data sets; means over "
        "tasks. Up is better, left is lost. A line is a way of adapting; larger marks: more shots."
    )
    alt = "Scatter plot. " + "; ".join(
        f"{config.name}: gain {format_number(won, sign=True)}, elsewhere {format_number(lost, sign=True)}"
        for config, lost, won in points
    )
    return compose(suite.key("adapting"), caption, alt, [("Gain against loss", partial(_draw, points=points))])


def _draw(axes: Axes, points: Sequence[tuple[Config, float, float]]) -> None:
    from matplotlib.lines import Line2D

    modes = list(dict.fromkeys(config.mode for config, _, _ in points))
    models = list(dict.fromkeys(config.model_name for config, _, _ in points))
    shots = sorted({config.shots for config, _, _ in points}, key=shots_rank)
    for way in dict.fromkeys((config.model_name, config.mode) for config, _, _ in points):
        line = [(lost, won) for config, lost, won in points if (config.model_name, config.mode) == way]
        axes.plot(*zip(*line, strict=True), color=COLOURS[modes.index(way[1]) % len(COLOURS)], lw=0.9, alpha=0.6)
    scatter_marks(
        axes,
        [
            (
                lost,
                won,
                24 + 22 * shots.index(config.shots),
                COLOURS[modes.index(config.mode) % len(COLOURS)],
                MARKERS[models.index(config.model_name) % len(MARKERS)],
            )
            for config, lost, won in points
        ],
    )
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlabel("AP elsewhere: after minus before")
    axes.set_ylabel("AP gained over zero-shot")
    axes.grid(alpha=0.25)
    handles = [Line2D([], [], color=COLOURS[n % len(COLOURS)], lw=5, label=for_figure(m)) for n, m in enumerate(modes)]
    if len(models) > 1:
        handles += [
            Line2D([], [], color=INK, marker=MARKERS[n % len(MARKERS)], ls="", label=for_figure(model))
            for n, model in enumerate(models)
        ]
    legend_below(axes, handles, points=34)
