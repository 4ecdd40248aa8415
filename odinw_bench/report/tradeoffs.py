"""What accuracy costs: figures with the front of what nothing cheaper reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from glip_core.detection.labels import Rectangle, overlap
from odinw_bench.report.analysis import mean_cost
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite, average, common_tasks, shots_rank
from odinw_bench.report.document import Figure
from odinw_bench.report.drawing import COLOURS, INK, MARKERS, OPACITY, Draw, compose, legend_below, scatter_marks
from odinw_bench.report.figures import shared
from odinw_bench.runs.spec import UNTUNED
from odinw_bench.utils.escape import for_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = (
    ("tune_seconds", "tuning, seconds a run", 1.0),
    ("peak_memory_bytes", "peak memory, GB", 1e-9),
    ("tuned_parameters", "trainable parameters", 1.0),
)
_POINTS = (230.0, 190.0)  # about the size of a panel's axes
_FONT = 8.0
_LONGEST = 26  # characters of a label
_CLEARER = 2.0  # points that a name is nearer to its own dot than to another
_MANY = 40  # configurations, beyond which the dots off the front are drawn faintly
_FAINT = 0.25  # opacity
_EDGE = 4.0  # points between a label and the axes: letters such as p go below the line that they stand on


@dataclass(frozen=True)
class Dot:
    """A configuration in a figure.

    Attributes:
        config: which.
        x: what it costs.
        y: what it reaches.
    """

    config: Config
    x: float
    y: float


def front(dots: Sequence[Dot]) -> list[Dot]:
    """The Pareto front: what no other is at least equal to in both ways and better in one.

    Args:
        dots: all.

    Returns:
        the dots on it, ascending by ``x``.
    """
    found: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.x, -dot.y)):
        if not found or dot.y > found[-1].y:
            found.append(dot)
    return found


def cost_figure(suite: Suite) -> Figure | None:
    """AP against seconds, memory and trainable parameters, with the front of each."""
    tasks, kept = common_tasks(suite.scores)
    kept = [config for config in kept if config.mode not in UNTUNED and config.mode != AS_PUBLISHED]
    faint = len(kept) > _MANY
    draws: list[tuple[str, Draw]] = []
    for name, label, unit in _COSTS:
        dots = []
        for config in kept:
            row = {task: suite.scores[config][task] for task in tasks}
            cost = mean_cost(row, name)
            if cost:
                dots.append(Dot(config, cost * unit, average(row).ap))
        if len(dots) > 1:
            draws.append((label, partial(_draw, dots=dots, best=front(dots), faint=faint)))
    if not draws:
        return None
    caption = (
        f"Cost against accuracy of what was tuned; means over {shared(tasks)}. Larger marks: more shots. The line "
        "joins what nothing cheaper reaches (the Pareto front); its points are named where there is room"
        + (", the others are faint" if faint else "")
        + "; all are in the table."
    )
    alt = "Scatter plots of mean AP against tuning time, memory and parameters; their numbers are in the table."
    return compose(suite.key("cost"), caption, alt, draws)


def _draw(axes: Axes, dots: Sequence[Dot], best: Sequence[Dot], *, faint: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter, FixedLocator, NullFormatter, NullLocator

    shots = sorted({dot.config.shots for dot in dots}, key=shots_rank)
    modes = list(dict.fromkeys(dot.config.mode for dot in dots))
    models = list(dict.fromkeys(dot.config.model_name for dot in dots))
    axes.plot([dot.x for dot in best], [dot.y for dot in best], color=INK, linewidth=1, alpha=0.5, zorder=1)
    scatter_marks(
        axes,
        [
            (
                dot.x,
                dot.y,
                18 + 16 * shots.index(dot.config.shots),
                COLOURS[modes.index(dot.config.mode) % len(COLOURS)],
                MARKERS[models.index(dot.config.model_name) % len(MARKERS)],
            )
            for dot in dots
        ],
        [_FAINT if faint and dot not in best else OPACITY for dot in dots],
    )
    lowest, highest = min(dot.x for dot in dots), max(dot.x for dot in dots)
    wide = lowest > 0 and highest > 5 * lowest
    scale: Callable[[float], float] = math.log10 if wide else float
    ends = _margins(scale(lowest), scale(highest), 0.12)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_ticks(lowest, highest)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(*((10**end for end in ends) if wide else ends))
    heights = _margins(min(dot.y for dot in dots), max(dot.y for dot in dots), 0.12)
    axes.set_ylim(*heights)
    if highest >= 1000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    elif wide:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("mean AP, percent")
    axes.grid(alpha=0.25)
    spots = {dot: (_share(scale(dot.x), ends), _share(dot.y, heights)) for dot in dots}
    for dot, text, left, bottom in _named(best, spots, several=len(models) > 1):
        axes.annotate(
            for_figure(text),
            spots[dot],
            xycoords="axes fraction",
            xytext=(left, bottom),
            textcoords="axes fraction",
            fontsize=_FONT,
        )
    handles = [
        Line2D([], [], color=COLOURS[n % len(COLOURS)], lw=5, label=for_figure(mode)) for n, mode in enumerate(modes)
    ]
    if len(models) > 1:
        handles += [
            Line2D([], [], color=INK, marker=MARKERS[n % len(MARKERS)], ls="", label=for_figure(model))
            for n, model in enumerate(models)
        ]
    legend_below(axes, handles, points=20)


def _margins(low: float, high: float, share: float) -> tuple[float, float]:
    width = (high - low) or abs(high) or 1.0
    return low - share * width, high + share * width


def _share(value: float, ends: tuple[float, float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis, about five."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1.0,) if last - first > 3 else (1.0, 3.0) if last - first > 2 else (1.0, 2.0, 5.0)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if 0.8 * low <= tick <= 1.25 * high]


def _named(
    best: Sequence[Dot], spots: dict[Dot, tuple[float, float]], *, several: bool
) -> list[tuple[Dot, str, float, float]]:
    """The names of the front's dots with their place (left, bottom) as shares of the axes, where there is room.

    A name that would stand nearer to another dot than to its own is left out: it would be read as the other's.
    """
    centres = {dot: (x * _POINTS[0], y * _POINTS[1]) for dot, (x, y) in spots.items()}
    marks = [_around(*centre) for centre in centres.values()]
    taken: list[Rectangle] = []
    placed = []
    for dot in reversed(best):
        config = dot.config
        text = f"{config.model_name + ' ' if several else ''}{config.mode} {config.shots}"
        text = text if len(text) <= _LONGEST else f"{config.mode} {config.shots}"
        width, height = 0.62 * _FONT * len(text), 1.3 * _FONT
        x, y = centres[dot]
        others = [centre for other, centre in centres.items() if other != dot]
        places = [(x - width - 7, y + 1), (x - width / 2, y + 8), (x + 8, y - height), (x - width - 7, y - height)]
        places += [(x + 8, y + 1), (x - width / 2, y - height - 8), (x - width - 12, y + 12), (x + 12, y - height - 8)]
        for left, bottom in places:
            rectangle = (left, bottom, left + width, bottom + height)
            inside = _EDGE <= left <= _POINTS[0] - width - _EDGE and _EDGE <= bottom <= _POINTS[1] - height
            own = _distance((x, y), rectangle)
            mistaken = any(_distance(centre, rectangle) < own + _CLEARER for centre in others)
            if inside and not mistaken and not any(overlap(rectangle, other) for other in (*taken, *marks)):
                taken.append(rectangle)
                placed.append((dot, text, left / _POINTS[0], bottom / _POINTS[1]))
                break
    return placed


def _around(x: float, y: float) -> Rectangle:
    return x - 5, y - 5, x + 5, y + 5


def _distance(point: tuple[float, float], rectangle: Rectangle) -> float:
    """From a point to the nearest point of a rectangle; 0 inside it."""
    (x, y), (left, low, right, high) = point, rectangle
    return math.hypot(max(left - x, 0.0, x - right), max(low - y, 0.0, y - high))
