"""How every figure is drawn: its palette, its legend, its panels for the page and as one picture for papers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from odinw_bench.report.document import Figure
from odinw_bench.utils.escape import for_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours; markers and dashes tell the lines apart where colours do not.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#785EF0", "#8A6F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))

OPACITY = 0.85  # of marks
INK = "#010203"  # what becomes the page's own text colour
_PANEL = (4.2, 3.3)  # inches
_WIDE = 28  # characters of a name, two of which do not stand side by side
_LEGEND_LINES = 2  # of a legend within a panel's height
_LEGEND_LINE = 0.19  # inches of each further one, by which the panel is higher

Draw = Callable[["Axes"], None]


def legend_below(axes: Axes, handles: Sequence[Any], *, points: float) -> None:
    """A legend so many points under the axis; :func:`compose` makes a panel with a long one higher."""
    from matplotlib.transforms import offset_copy

    below = offset_copy(axes.transAxes, fig=axes.get_figure(root=True), y=-points, units="points")
    axes.legend(
        handles=list(handles),
        fontsize=9,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        ncols=_legend_columns([handle.get_label() for handle in handles]),
        borderpad=0,
    )


def _legend_columns(names: Sequence[str]) -> int:
    return 1 if any(len(name) > _WIDE for name in names) else 2


def write_numbers(axes: Axes, numbers: Sequence[tuple[float, float, str, str]], *, points: float = 7) -> None:
    """Numbers (x, y, text, colour) centred on their places, inside the axes."""
    from odinw_bench.report.outlines import Outlines

    drawn = Outlines(numbers, points, axes.transData)
    drawn.set_in_layout(False)
    axes.add_artist(drawn)


def label_grid(axes: Axes, columns: Sequence[str], rows: Sequence[str], *, points: float = 8) -> None:
    """Names under the columns of a grid, turned, and left of its rows, in place of the axes' ticks."""
    from matplotlib.transforms import blended_transform_factory, offset_copy

    from odinw_bench.report.outlines import Outlines

    axes.set_xticks([])
    axes.set_yticks([])
    figure = axes.get_figure(root=True)
    below = blended_transform_factory(axes.transData, axes.transAxes)
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for drawn in (
        Outlines(
            [(place, 0.0, name, INK) for place, name in enumerate(columns)],
            points,
            offset_copy(below, fig=figure, y=-points / 2, units="points"),
            centred=False,
            degrees=60,
        ),
        Outlines(
            [(0.0, place, name, INK) for place, name in enumerate(rows)],
            points,
            offset_copy(beside, fig=figure, x=-points / 2, units="points"),
            centred=False,
        ),
    ):
        drawn.set_clip_on(False)
        axes.add_artist(drawn)


def scatter_marks(
    axes: Axes, marks: Sequence[tuple[float, float, float, str, str]], opacity: float | Sequence[float] = OPACITY
) -> None:
    """Marks (x, y, area in square points, colour, marker), the later ones on top, all as one artist.

    ``Axes.scatter`` draws one kind of marker; an artist for each mark takes most of a figure's time.
    """
    from matplotlib.markers import MarkerStyle

    if not marks:
        return
    x, y, sizes, colours, kinds = map(list, zip(*marks, strict=True))
    drawn = axes.scatter(x, y, s=sizes, color=colours, edgecolors=INK, linewidths=0.4)
    drawn.set_alpha(opacity)
    styles = {kind: MarkerStyle(kind) for kind in kinds}
    outlines = {kind: style.get_path().transformed(style.get_transform()) for kind, style in styles.items()}
    drawn.set_paths([outlines[kind] for kind in kinds])


def compose(
    key: str,
    caption: str,
    alt: str,
    draws: Sequence[tuple[str, Draw]],
    *,
    size: tuple[float, float] = _PANEL,
    on_page: bool = True,
) -> Figure:
    """Draw the panels one by one for the page, and together for papers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: Any = {
        "svg.hashsalt": "odinw-bench",  # the same ids, and so the same bytes, each time
        "text.parse_math": False,  # names are no formulas
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    }
    panels = []
    with plt.rc_context(style):
        for number, (title, draw) in enumerate(draws if on_page else ()):
            figure, axes = plt.subplots(figsize=size, layout="constrained")
            draw(axes)
            _make_room(figure)
            _fix_layout(figure)
            panels.append((title, _inline(_svg(figure, transparent=True), f"{key}-{number}")))
            plt.close(figure)
        columns = min(3, len(draws))
        rows = -(-len(draws) // columns)
        whole, grid = plt.subplots(
            rows, columns, figsize=(size[0] * columns, size[1] * rows), layout="constrained", squeeze=False
        )
        for axes, (title, draw) in zip(grid.flat, draws, strict=False):
            draw(axes)
            axes.set_title(for_figure(title))
        for axes in grid.flat[len(draws) :]:
            axes.set_visible(False)
        _make_room(whole, rows)
        _fix_layout(whole)
        png = _png(whole)
        svg = _svg(whole)
        plt.close(whole)
    return Figure(key, caption, alt, panels, png, svg)


def _make_room(figure: Any, rows: int = 1) -> None:
    """Make a figure of so many rows of panels higher: the axes over a long legend are as high as over a short one."""
    legends = [legend for axes in figure.axes if (legend := axes.get_legend())]
    names = [[text.get_text() for text in legend.get_texts()] for legend in legends]
    lines = max((-(-len(each) // _legend_columns(each)) for each in names), default=0)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + rows * _LEGEND_LINE * max(0, lines - _LEGEND_LINES))


def _fix_layout(figure: Any) -> None:
    """Compute where everything stands, once: each saving would otherwise go through the whole figure to do it again."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)


def _svg(figure: Any, *, transparent: bool = False) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=transparent, metadata={"Date": None})
    return out.getvalue()


def _png(figure: Any) -> bytes:
    """Without transparency, which nothing of a whole figure has: smaller than with it, in half the time."""
    from PIL import Image

    figure.set_dpi(150)
    figure.canvas.draw()
    out = io.BytesIO()
    drawn = Image.frombuffer("RGBA", figure.canvas.get_width_height(), figure.canvas.buffer_rgba())
    drawn.convert("RGB").save(out, "png", compress_level=3, dpi=(150, 150))
    return out.getvalue()


def _inline(svg: str, prefix: str) -> str:
    """A drawing to stand within a page: ids of its own, the page's colour for its ink, no fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r'^<svg ([^>]*?)\b(?:width="[^"]*" height="[^"]*"|height="[^"]*" width="[^"]*")', r"<svg \1", svg)
    svg = re.sub(r'(<svg [^>]*?) ?width="[\d.]+pt"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) ?height="[\d.]+pt"', r"\1", svg, count=1)
    return svg.replace(INK, "currentColor")
