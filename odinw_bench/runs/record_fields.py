"""Typed values out of a record's JSON: what is missing, of another type or out of range is an error that names it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from glip_core.errors import InputError
from odinw_bench.metrics.extra import COCO
from odinw_bench.utils.text import shorten

_MOST = 1 << 63
"""What counts and seeds stay below: tables hold them in 64 bits."""

_NUMBERS = (
    "tune_seconds",
    "tune_steps",
    "best_epoch",
    "validation_AP",
    "test_seconds",
    "images_per_second",
    "peak_memory_bytes",
    "tuned_parameters",
    "total_parameters",
)
"""Costs that are one number; others may have parts."""

_ROUNDING = 1e-6
"""A mean of values of 100 may be a last digit above it."""


def check_encodable(content: Any) -> None:
    """Check that what JSON gave can be written again: Python reads NaN, infinities and halves of characters.

    Raises:
        InputError: it cannot.
    """
    with encodable():
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


@contextmanager
def encodable() -> Iterator[None]:
    """Turns what goes wrong where the block writes JSON into an ``InputError`` that says what cannot be written."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise InputError("it holds half of a character (a lone surrogate)") from error
    except ValueError as error:
        raise InputError("it holds NaN or an infinity, which JSON does not know") from error
    except RecursionError as error:
        raise InputError("it is nested too deeply") from error


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def mapping(values: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    """A field that holds an object; an empty one where it is missing or null.

    Raises:
        InputError: it holds something else.
    """
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict | Mapping):  # dict first: asking whether something is a Mapping takes longer
        raise InputError(f"{where}{name} must be an object, not {shorten(value)}")
    return value


def text(values: Mapping[str, Any], name: str, where: str = "") -> str:
    """A field that must hold some text.

    Raises:
        InputError: it is missing, empty or no text.
    """
    value = values.get(name)
    if value is None or value == "":
        raise InputError(f"{where}{name} is missing")
    if not isinstance(value, str):
        raise InputError(f"{where}{name} must be a text, not {shorten(value)}")
    return value


def optional_text(values: Mapping[str, Any], name: str, where: str = "") -> str | None:
    """A field that holds text, null or nothing.

    Raises:
        InputError: it holds something else.
    """
    return None if values.get(name) in (None, "") else text(values, name, where)


def count(values: Mapping[str, Any], name: str, where: str = "") -> int:
    """A field that must hold a whole number of at least 0.

    Raises:
        InputError: it is missing or something else.
    """
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise InputError(f"{where}{name} must be a whole number of at least 0 and below 2**63, not {shorten(value)}")
    return value


def number(
    values: Mapping[str, Any], name: str, where: str = "", *, low: float = 0, high: float = math.inf
) -> float | None:
    """A field that holds a finite number from ``low`` to ``high``, null or nothing.

    Raises:
        InputError: it holds something else.
    """
    value = values.get(name)
    if value is None or (type(value) is float and low <= value <= high and value < math.inf):  # nearly all
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InputError(f"{where}{name} must be a number, not {shorten(value)}")
    if not low <= value <= high + _ROUNDING:
        limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise InputError(f"{where}{name} must be a number {limits}, not {shorten(value)}")
    return value


def check_metrics(metrics: Mapping[str, Any], headline: str = "AP", *, objects: bool = False) -> None:
    """Check that COCO's metrics are percentages or null, the others numbers or null, and that the headline is there.

    Args:
        metrics: of a record.
        headline: the metric that tables show, a percentage.
        objects: there may be objects of numbers among them, as other evaluations than COCO's give.

    Raises:
        InputError: one is not.
    """
    if headline not in metrics:
        raise InputError(f"metrics.{headline} is missing")
    for name, value in metrics.items():
        if name in {headline, *COCO} - {"per_class"}:
            number(metrics, name, "metrics.", high=100)
        elif objects and isinstance(value, Mapping) and name != "per_class":
            for part in value:
                number(value, part, f"metrics.{name}.", low=-math.inf)
        elif name != "per_class":
            number(metrics, name, "metrics.", low=-math.inf)
    per_class = mapping(metrics, "per_class", "metrics.")
    for name in per_class:
        number(per_class, name, "metrics.per_class.", high=100)


def check_evaluation(evaluation: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Check how a record says it was tested, where that is not by COCO's AP.

    Args:
        evaluation: of a record; not empty.
        metrics: of the same record.

    Returns:
        the metric that stands in AP's place.

    Raises:
        InputError: its name or headline is missing, or a metric that tables are to show is an object.
    """
    where = "evaluation."
    headline = text(evaluation, "headline", where)
    text(evaluation, "name", where)
    shown = evaluation.get("shown")
    if not isinstance(shown, list | None):
        raise InputError(f"{where}shown must be a list of metrics, not {shorten(shown)}")
    numbered = {f"shown[{place}]": name for place, name in enumerate(shown or ())}
    for place, name in {"headline": headline, **numbered}.items():
        text({place: name}, place, where)
        if isinstance(metrics.get(name), Mapping):
            raise InputError(f"{where}{place} must name a metric that is a number, not {shorten(name)}")
    return headline


def check_cost(cost: Mapping[str, Any]) -> None:
    """Check that every cost is a number of at least 0, null, or an object of such.

    Raises:
        InputError: one is not.
    """
    for name, value in cost.items():
        if isinstance(value, Mapping) and name not in _NUMBERS:
            for part in value:
                number(value, part, f"cost.{name}.")
        else:
            number(cost, name, "cost.", high=100 if name == "validation_AP" else math.inf)
