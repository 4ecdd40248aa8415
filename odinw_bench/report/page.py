"""The report as one HTML page that needs nothing else: style, script, drawings and pictures are inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from odinw_bench.report.cells import best_cells, row_cells, sources
from odinw_bench.report.document import Box, Picture, Report
from odinw_bench.report.labels import Label, place_labels
from odinw_bench.report.widths import fitted
from odinw_bench.utils.escape import visible

COLOURS = 8
"""Colours of boxes in the style sheet; further classes begin again."""


def to_html(report: Report) -> str:
    """The page. All text of records is escaped; only the drawings, which this program makes, stand as they are."""
    style, script = _text("page.css"), _text("page.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.globals.update(
        colour=_colour,
        font_size=_font_size,
        fitted=fitted,
        labels=_labels,
        best_cells=best_cells,
        row_cells=row_cells,
        sources=sources,
    )
    template = environment.from_string(_text("report.html.j2"))
    return template.render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
        Markup=Markup,
    )


def _visible(value: object) -> object:
    """What a text of records shows; what this program made stands as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _colour(box: Box) -> str:
    return f"c{box.colour % COLOURS}"


def _labels(picture: Picture, shown: Sequence[Box]) -> list[Label]:
    return place_labels(shown, picture.size, _font_size(picture.size))


def _font_size(size: tuple[int, int]) -> float:
    """Of labels on a picture, in its own pixels: as large on the page whatever the picture's resolution."""
    return round(max(size) / 22, 2)
