"""The figures: few-shot curves, modes, heat maps, cost against accuracy. For eyes that see colours differently, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from odinw_bench.report.analysis import mean_cost
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite, average, common_tasks, shots_rank
from odinw_bench.report.document import Figure, format_number, listed
from odinw_bench.report.drawing import COLOURS, DASHES, INK, MARKERS, Draw, compose, legend_below
from odinw_bench.runs.spec import UNTUNED
from odinw_bench.utils.escape import for_figure
from odinw_bench.utils.text import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = tuple[str, list[tuple[str, float]]]  # name, (shots, AP) ascending


def shot_curves(suite: Suite) -> Figure | None:
    """AP by shots, a panel per tuning mode and a line per model: the paper's Figure 4."""
    return _curves(
        suite,
        key=suite.key("few-shot"),
        title="AP by labelled images per class; a panel per mode, a line per model",
        panel_of=lambda config: config.mode,
        line_of=lambda config: config.model_name,
    )


def mode_curves(suite: Suite) -> Figure | None:
    """AP by shots, a panel per model and a line per mode: the paper's Figure 7."""
    return _curves(
        suite,
        key=suite.key("modes"),
        title="AP by labelled images per class; a panel per model, a line per mode",
        panel_of=lambda config: config.model_name,
        line_of=lambda config: config.mode,
    )


def _curves(
    suite: Suite, *, key: str, title: str, panel_of: Callable[[Config], str], line_of: Callable[[Config], str]
) -> Figure | None:
    tasks, kept = common_tasks(suite.scores)
    tuned = [config for config in kept if config.mode not in UNTUNED and config.mode != AS_PUBLISHED]
    if not tuned:
        return None
    value = {config: average(suite.scores[config], tasks).ap for config in kept}
    starts = {config.model_name: value[config] for config in kept if config.mode == "zero-shot"}
    starts |= {config.model_name: value[config] for config in kept if config.mode == AS_PUBLISHED}
    panels: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for config in tuned:
        line = panels.setdefault(panel_of(config), {}).setdefault(line_of(config), [])
        if not line and config.model_name in starts:
            line.append(("0", starts[config.model_name]))
        line.append((config.shots, value[config]))
    for lines in panels.values():
        for line in lines.values():
            line.sort(key=lambda point: shots_rank(point[0]))
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    ticks = sorted({shots for lines in panels.values() for line in lines.values() for shots, _ in line}, key=shots_rank)
    top = max(point for lines in panels.values() for line in lines.values() for _, point in line)
    draws: list[tuple[str, Draw]] = [
        (panel, partial(_draw_lines, lines=list(lines.items()), names=names, ticks=ticks, top=top))
        for panel, lines in panels.items()
    ]
    left_out = [config.name for config in suite.scores if config not in kept]
    caption = f"{title}. Mean over seeds and {_shared(tasks)}: {listed(tasks)}."
    if left_out:
        caption += f" Left out for too few tasks: {listed(left_out, 12)}."
    alt = "; ".join(
        f"{panel}, {name}: " + ", ".join(f"{shots} shots {format_number(ap)}" for shots, ap in line)
        for panel, lines in panels.items()
        for name, line in lines.items()
    )
    return compose(key, caption, f"Line chart of mean AP. {alt}", draws)


def _shared(tasks: Sequence[str]) -> str:
    return "the 1 task that all of these have" if len(tasks) == 1 else f"the {len(tasks)} tasks that all of these have"


def _draw_lines(axes: Axes, lines: Sequence[Line], names: Sequence[str], ticks: Sequence[str], top: float) -> None:
    for name, points in lines:
        style = names.index(name)
        axes.plot(
            [ticks.index(shots) for shots, _ in points],
            [ap for _, ap in points],
            label=for_figure(name),
            color=COLOURS[style % len(COLOURS)],
            marker=MARKERS[style % len(MARKERS)],
            linestyle=DASHES[(style + style // len(DASHES)) % len(DASHES)],
        )
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlim(-0.25, len(ticks) - 0.75)
    axes.set_ylim(0, top * 1.08 or 1)
    axes.set_xlabel("shots: labelled images per class")
    axes.set_ylabel("mean AP, percent")
    axes.grid(alpha=0.25)
    legend_below(axes, axes.get_legend_handles_labels()[0], points=34)


def heat_figures(suite: Suite) -> list[Figure]:
    """AP of every task and configuration, a figure per model."""
    models = list(dict.fromkeys(config.model_name for config in suite.scores))
    tasks = suite.measured
    top = max((score.ap for row in suite.scores.values() for score in row.values()), default=0.0) or 1.0
    figures = []
    for model in models:
        configs = [config for config in suite.scores if config.model_name == model]
        size = (2.2 + 0.5 * len(configs), 1.8 + 0.3 * len(tasks))
        figures.append(
            compose(
                suite.key(f"heatmap-{slug(model, unique=True)}"),
                f"{model}: AP by task and configuration, mean over seeds. White: not measured.",
                f"Heat map of the table 'AP by task' for {model}.",
                [(model, partial(_draw_heat, suite=suite, configs=configs, tasks=tasks, top=top))],
                size=size,
                on_page=False,
            )
        )
    return figures


def _draw_heat(axes: Axes, suite: Suite, configs: Sequence[Config], tasks: Sequence[str], top: float) -> None:
    grid = [
        [suite.scores[config][task].ap if task in suite.scores[config] else float("nan") for config in configs]
        for task in tasks
    ]
    axes.imshow(grid, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for y, line in enumerate(grid):
        for x, ap in enumerate(line):
            if ap == ap:
                colour = "white" if ap < 0.6 * top else "black"
                axes.text(x, y, f"{ap:.0f}", ha="center", va="center", fontsize=7, color=colour)
    names = [f"{config.mode} {config.shots}" if config.shots != "0" else config.mode for config in configs]
    axes.set_xticks(
        range(len(configs)), list(map(for_figure, names)), rotation=60, ha="right", rotation_mode="anchor", fontsize=8
    )
    axes.set_yticks(range(len(tasks)), list(map(for_figure, tasks)), fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


_COSTS = (
    ("tuned_parameters", "tuned parameters"),
    ("tune_seconds", "tuning, seconds a run"),
    ("peak_memory_bytes", "peak memory, bytes"),
)


def cost_figure(suite: Suite) -> Figure | None:
    """AP against tuned parameters, seconds and memory."""
    tasks, kept = common_tasks(suite.scores)
    kept = [config for config in kept if config.mode not in UNTUNED and config.mode != AS_PUBLISHED]
    modes = list(dict.fromkeys(config.mode for config in kept))
    models = list(dict.fromkeys(config.model_name for config in kept))
    draws: list[tuple[str, Draw]] = []
    for name, label in _COSTS:
        points = []
        for config in kept:
            row = {task: suite.scores[config][task] for task in tasks}
            cost = mean_cost(row, name)
            if cost:
                points.append((config, cost, average(row).ap))
        if points:
            draws.append((label, partial(_draw_cost, points=points, modes=modes, models=models)))
    if not draws:
        return None
    caption = f"Cost against accuracy of what was tuned; means over {_shared(tasks)}. Larger marks: more shots."
    alt = "Scatter plots of mean AP against tuned parameters, tuning time and memory; their numbers are in the table."
    return compose(suite.key("cost"), caption, alt, draws)


def _draw_cost(
    axes: Axes, points: Sequence[tuple[Config, float, float]], modes: Sequence[str], models: Sequence[str]
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    shots = sorted({config.shots for config, _, _ in points}, key=shots_rank)
    for config, cost, ap in points:
        axes.scatter(
            cost,
            ap,
            s=24 + 22 * shots.index(config.shots),
            color=COLOURS[modes.index(config.mode) % len(COLOURS)],
            marker=MARKERS[models.index(config.model_name) % len(MARKERS)],
            alpha=0.85,
            edgecolors=INK,
            linewidths=0.4,
        )
    lowest, highest = min(cost for _, cost, _ in points), max(cost for _, cost, _ in points)
    if highest > 5 * lowest:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if highest > 100 * lowest else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylabel("mean AP, percent")
    axes.set_ylim(0, 1.1 * max(ap for _, _, ap in points) or 1)
    axes.grid(alpha=0.25)
    handles = [
        Line2D([], [], color=COLOURS[n % len(COLOURS)], lw=5, label=for_figure(mode)) for n, mode in enumerate(modes)
    ]
    if len(models) > 1:
        handles += [
            Line2D([], [], color=INK, marker=MARKERS[n % len(MARKERS)], ls="", label=for_figure(model))
            for n, model in enumerate(models)
        ]
    legend_below(axes, handles, points=20)
