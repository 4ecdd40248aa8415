"""Stacked bars: where the time of an image goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odinw_bench.utils.escape import for_figure

STAGES = (
    ("vision", "#0072B2"),
    ("language", "#CC79A7"),
    ("fusion", "#D55E00"),
    ("DyHead", "#E69F00"),
    ("heads", "#F0E442"),
    ("losses", "#009E73"),
    ("backward", "#56B4E9"),
    ("update", "#117733"),
    ("post-processing", "#882255"),
    ("other", "#999999"),
)
"""In the order of the pass, in colours that the colour-blind can tell apart (Okabe and Ito)."""


def draw_stages(found: Sequence[Mapping[str, Any]], out: Path) -> None:
    """One bar per setting that was measured.

    Args:
        found: results of :func:`odinw_bench.profiling.profile`.
        out: file to write; its ending decides the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context({"text.parse_math": False}):  # names are no formulas
        _draw(plt, [row for row in found if "error" not in row], out)


def _draw(plt: Any, rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.45 * len(rows)), layout="constrained")
    left = [0.0] * len(rows)
    names = [_name(row["settings"]) for row in rows]
    for stage, colour in STAGES:
        widths = [1000 * row["stages"].get(stage, 0.0) / row["settings"]["batch"] for row in rows]
        if any(widths):
            axes.barh(names, widths, left=left, color=colour, label=stage, edgecolor="white", linewidth=0.5)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.text(total, place, f" {total:.0f} ms", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds an image (decoding and resizing not counted)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    plt.close(figure)


def _name(settings: Mapping[str, Any]) -> str:
    fusion = "fusion" if settings["fusion"] else "no fusion"
    model = for_figure(settings["model"])
    return f"{model}, {fusion}\n{settings['phase']}, batch {settings['batch']}, {settings['precision']}"
