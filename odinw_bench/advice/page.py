"""The answer as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from odinw_bench.advice.answer import Advice
from odinw_bench.advice.failures import data_uri
from odinw_bench.advice.recommending import CLEAR
from odinw_bench.utils.escape import visible

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 320.0, 170.0, 34.0, 24.0
_KINDS = {"measured": "Measured", "expected": "Expected"}


def to_html(advice: Advice) -> str:
    """The page; all text of data is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters.update(ap=_ap, signed=_signed, size=size_in_words, time=time_in_words)
    template = environment.from_string(_text("advice.html.j2"))
    pictures = [{**one, "uri": data_uri(advice.labelled, one["file"])} for one in advice["failures"]["examples"]]
    return template.render(
        advice=advice.content,
        pictures=pictures,
        chart=_chart(advice["learning_curve"]),
        kinds=_KINDS,
        clear=CLEAR,
        style=Markup(_text("advice.css")),
    )


def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _visible(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _ap(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}".replace("-", "−")


def size_in_words(value: float | None) -> str:
    """Bytes with a unit."""
    if value is None:
        return "–"
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def time_in_words(value: float | None) -> str:
    """Seconds with a unit."""
    if value is None:
        return "–"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def _chart(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Where the points of the learning curve lie: equal factors of images are equal distances."""
    if not curve:
        return None
    top = max(10.0, min(100.0, max(row["high"] for row in curve) * 1.1))
    step = (_WIDTH - _LEFT - 30) / max(1, len(curve) - 1)
    points = [
        {
            "x": round(_LEFT + 12 + step * place, 1),
            **{name: round(_y(row[name], top), 1) for name in ("AP", "low", "high")},
            "images": row["images"],
            "kind": row["kind"],
        }
        for place, row in enumerate(curve)
    ]
    ticks = [{"y": round(_y(top * share, top), 1), "text": f"{top * share:.0f}"} for share in (0.0, 0.5, 1.0)]
    band = [f"{one['x']},{one['high']}" for one in points] + [f"{one['x']},{one['low']}" for one in reversed(points)]
    line = [f"{one['x']},{one['AP']}" for one in points]
    return {
        "points": points,
        "ticks": ticks,
        "band": " ".join(band),
        "line": " ".join(line),
        "width": _WIDTH,
        "height": _HEIGHT,
    }


def _y(ap: float, top: float) -> float:
    return 8 + (_HEIGHT - _BOTTOM - 8) * (1 - ap / top)
