"""Few-shot curves with their uncertainty, and heat maps. For eyes that see colours differently, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite, average, common_tasks, shots_rank
from odinw_bench.report.conclusion import spread
from odinw_bench.report.document import Figure, format_number, listed
from odinw_bench.report.drawing import COLOURS, DASHES, MARKERS, Draw, compose, label_grid, legend_below, write_numbers
from odinw_bench.runs.spec import UNTUNED
from odinw_bench.utils.escape import for_figure
from odinw_bench.utils.text import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[str, float, float | None, float | None]
"""Shots, AP, and both ends of its interval, None where there is none."""
Line = tuple[str, list[Point]]  # name, points ascending by shots

_MOST_BANDS = 4
"""Lines of a panel whose intervals are drawn: more would cover each other."""


def shot_curves(suite: Suite) -> Figure | None:
    """AP by shots with its uncertainty: a panel per model, a line per way of adapting it (the paper's Figure 7)."""
    return _curves(
        suite,
        key=suite.key("few-shot"),
        title="AP by labelled images per class; a panel per model, a line per mode",
        panel_of=lambda config: config.model_name,
        line_of=lambda config: config.mode,
    )


def model_curves(suite: Suite) -> Figure | None:
    """The same with a panel per mode and a line per model (the paper's Figure 4); None for one model."""
    if len({config.model_name for config in suite.scores if config.mode not in UNTUNED}) < 2:
        return None
    return _curves(
        suite,
        key=suite.key("modes"),
        title="AP by labelled images per class; a panel per mode, a line per model",
        panel_of=lambda config: config.mode,
        line_of=lambda config: config.model_name,
    )


def _curves(
    suite: Suite, *, key: str, title: str, panel_of: Callable[[Config], str], line_of: Callable[[Config], str]
) -> Figure | None:
    tasks, kept = common_tasks(suite.scores)
    tuned = [config for config in kept if config.mode not in UNTUNED and config.mode != AS_PUBLISHED]
    kind = "seeds" if all(spread(suite.scores[config], tasks, "seeds") for config in tuned) else "tasks"
    value = {config: _point(suite, config, tasks, kind) for config in kept}
    starts = {config.model_name: value[config] for config in kept if config.mode == "zero-shot"}
    starts |= {config.model_name: value[config] for config in kept if config.mode == AS_PUBLISHED}
    panels: dict[str, dict[str, list[Point]]] = {}
    for config in tuned:
        line = panels.setdefault(panel_of(config), {}).setdefault(line_of(config), [])
        if not line and config.model_name in starts:
            line.append(starts[config.model_name])
        line.append(value[config])
    for lines in panels.values():
        for line in lines.values():
            line.sort(key=lambda point: shots_rank(point[0]))
    panels = {panel: lines for panel, lines in panels.items() if any(len(line) > 1 for line in lines.values())}
    if not panels:  # points alone are no curves: their numbers are in the tables
        return None
    if max(map(len, panels.values())) > _MOST_BANDS:
        panels = {
            panel: {name: [(shots, ap, None, None) for shots, ap, *_ in line] for name, line in lines.items()}
            for panel, lines in panels.items()
        }
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    points = [point for lines in panels.values() for line in lines.values() for point in line]
    ticks = sorted({point[0] for point in points}, key=shots_rank)
    top = max(ap if high is None else high for _, ap, _, high in points)
    draws: list[tuple[str, Draw]] = [
        (panel, partial(_draw_lines, lines=list(lines.items()), names=names, ticks=ticks, top=top))
        for panel, lines in panels.items()
    ]
    drawn = [config for config in suite.scores if config.mode != "manual"]  # which no curve begins with
    left_out = [config.name for config in drawn if config not in kept]
    caption = f"{title}. Mean over seeds and {shared(tasks)}: {listed(tasks)}."
    if any(low is not None for _, _, low, _ in points):
        caption += f" Bands: 95 % interval of each mean over {kind}; what is decided is in the conclusion."
    if left_out:
        caption += f" Left out for too few tasks: {listed(left_out, 12)}."
    alt = "; ".join(
        f"{panel}, {name}: " + ", ".join(f"{point[0]} shots {format_number(point[1])}" for point in line)
        for panel, lines in panels.items()
        for name, line in lines.items()
    )
    return compose(key, caption, f"Line chart of mean AP. {alt}", draws)


def _point(suite: Suite, config: Config, tasks: Sequence[str], kind: str) -> Point:
    ends = spread(suite.scores[config], tasks, kind)
    low, high = (ends.low, ends.high) if ends else (None, None)
    return config.shots, average(suite.scores[config], tasks).ap, low, high


def shared(tasks: Sequence[str]) -> str:
    """The tasks of a figure, in words."""
    return "the 1 task that all of these have" if len(tasks) == 1 else f"the {len(tasks)} tasks that all of these have"


def _draw_lines(axes: Axes, lines: Sequence[Line], names: Sequence[str], ticks: Sequence[str], top: float) -> None:
    for name, points in lines:
        style = names.index(name)
        colour = COLOURS[style % len(COLOURS)]
        axes.plot(
            [ticks.index(point[0]) for point in points],
            [point[1] for point in points],
            label=for_figure(name),
            color=colour,
            marker=MARKERS[style % len(MARKERS)],
            linestyle=DASHES[(style + style // len(DASHES)) % len(DASHES)],
        )
        known = [(ticks.index(shots), low, high) for shots, _, low, high in points]
        sure = [(at, low, high) for at, low, high in known if low is not None and high is not None]
        if sure:
            at, low, high = zip(*sure, strict=True)
            axes.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)
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
    write_numbers(
        axes,
        [
            (x, y, f"{ap:.0f}", "white" if ap < 0.6 * top else "black")
            for y, line in enumerate(grid)
            for x, ap in enumerate(line)
            if ap == ap
        ],
    )
    names = [f"{config.mode} {config.shots}" if config.shots != "0" else config.mode for config in configs]
    label_grid(axes, list(map(for_figure, names)), list(map(for_figure, tasks)))
    axes.spines[:].set_visible(False)
