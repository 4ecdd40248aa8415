"""The picture of a search: every trial, the best so far, and the prompts that were given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from odinw_bench.files import replacing


def write_figures(content: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``history.png`` and ``history.svg``.

    Args:
        content: of ``search.json``.
        folder: to write to.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    done = [(t["number"] + 1, t["AP"]) for t in content["trials"] if t["AP"] is not None]
    numbers, values = [n for n, _ in done], [ap for _, ap in done]
    best, line = float("-inf"), []
    for value in values:
        best = max(best, value)
        line.append(best)
    axes.scatter(numbers, values, s=16, color="#0072B2", label="a prompt", zorder=3)
    axes.step(numbers, line, where="post", color="#D55E00", label="best so far")
    for trial in content["trials"]:
        if trial["given"] and trial["AP"] is not None:
            axes.annotate(
                trial["given"],
                (trial["number"] + 1, trial["AP"]),
                xytext=(8, -10),
                textcoords="offset points",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "lw": 0.5},
            )
    spec = content["spec"]
    axes.set_xlabel("trial")
    axes.set_ylabel("AP on the labelled images, percent")
    axes.set_title(f"{spec['model']} on {spec['suite']}/{spec['dataset']}, {spec['shots']} shots", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8, frameon=False)
    written = []
    for ending in ("png", "svg"):
        path = folder / f"history.{ending}"
        with replacing(path) as temporary:
            figure.savefig(temporary, format=ending, dpi=150)
        written.append(path)
    return written
