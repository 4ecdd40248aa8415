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

INK = "#010203"  # what becomes the page's own text colour
_PANEL = (4.2, 3.3)  # inches
_WIDE = 28  # characters of a name, two of which do not stand side by side

Draw = Callable[["Axes"], None]


def legend_below(axes: Axes, handles: Sequence[Any], *, points: float) -> None:
    """A legend so many points under the axis: the axes' own height changes with the legend's."""
    from matplotlib.transforms import offset_copy

    below = offset_copy(axes.transAxes, fig=axes.get_figure(root=True), y=-points, units="points")
    axes.legend(
        handles=list(handles),
        fontsize=9,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        ncols=1 if any(len(handle.get_label()) > _WIDE for handle in handles) else 2,
        borderpad=0,
    )


def write_numbers(axes: Axes, numbers: Sequence[tuple[float, float, str, str]], *, points: float = 7) -> None:
    """Numbers (x, y, text, colour) centred on their places, inside the axes: each text's outline is computed once.

    As texts of their own hundreds of them take most of a figure's time.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    figure = axes.get_figure(root=True)
    assert figure is not None
    to_points = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    places: dict[str, list[tuple[float, float, str]]] = {}
    for x, y, text, colour in numbers:
        places.setdefault(text, []).append((x, y, colour))
    for text, found in places.items():
        outline = TextPath((0, 0), text, size=points)
        box = outline.get_extents()
        centred = outline.transformed(Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2))
        marks = PathCollection(
            [centred],
            offsets=[(x, y) for x, y, _ in found],
            offset_transform=axes.transData,
            facecolors=[colour for _, _, colour in found],
            linewidths=0,
        )
        marks.set_transform(to_points)
        marks.set_in_layout(False)
        axes.add_collection(marks, autolim=False)


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
        _fix_layout(whole)
        png = io.BytesIO()
        whole.savefig(png, format="png", dpi=150, metadata={"Software": None})
        svg = _svg(whole)
        plt.close(whole)
    return Figure(key, caption, alt, panels, png.getvalue(), svg)


def _fix_layout(figure: Any) -> None:
    """Compute where everything stands, once: each saving would otherwise go through the whole figure to do it again."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)


def _svg(figure: Any, *, transparent: bool = False) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=transparent, metadata={"Date": None})
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
