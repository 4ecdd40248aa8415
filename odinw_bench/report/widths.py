"""Tables that are no wider than the page: headings turn, and what is still too wide is cut into several tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

from odinw_bench.report.document import Column, Table

PAGE = 1040
"""Pixels that a table has beside the contents, on a screen of 1440."""

_SIGN, _DENSE_SIGN, _PADDING, _DENSE_PADDING, _ARROW = 7.6, 7.2, 20, 13, 20
_LONG = 28
"""Characters from which on a text is broken into lines."""


@dataclass(frozen=True)
class Fitted:
    """A table as the page shows it.

    Attributes:
        table: the whole, or some of its columns.
        turned: the headings of numbers run upwards.
    """

    table: Table
    turned: bool = False


def fitted(table: Table) -> list[Fitted]:
    """A table, or several with the same first columns, none of them wider than :data:`PAGE`.

    What cannot be cut, a row of words alone, stays as it is: it breaks into lines.
    """
    if _width(table, turned=False) <= PAGE:
        return [Fitted(table)]
    if _width(table, turned=True) <= PAGE:
        return [Fitted(table, turned=True)]
    first = _leading(table)
    head = sum(_column(table, place, turned=True) for place in range(first))
    parts: list[list[int]] = [[]]
    room = PAGE - head
    for place in range(first, len(table.columns)):
        width = _column(table, place, turned=True)
        if parts[-1] and width > room:
            parts.append([])
            room = PAGE - head
        parts[-1].append(place)
        room -= width
    return [
        Fitted(_part(table, [*range(first), *part], number, len(parts)), turned=True)
        for number, part in enumerate(parts, 1)
    ]


def _leading(table: Table) -> int:
    """How many columns say what a row is of."""
    for place, column in enumerate(table.columns):
        if column.numeric and column.name != "shots":
            return place
    return min(1, len(table.columns))


def _part(table: Table, places: list[int], number: int, count: int) -> Table:
    if count == 1:
        return table
    return replace(
        table,
        key=table.key if number == 1 else f"{table.key}--{number}",
        caption=f"{table.caption} ({number} of {count})",
        columns=[table.columns[place] for place in places],
        rows=[[row[place] for place in places] for row in table.rows],
        notes=table.notes if number == count else (),
    )


def _width(table: Table, *, turned: bool) -> float:
    return sum(_column(table, place, turned=turned) for place in range(len(table.columns)))


def _column(table: Table, place: int, *, turned: bool) -> float:
    """About so many pixels a column needs."""
    column: Column = table.columns[place]
    sign, padding = (_DENSE_SIGN, _DENSE_PADDING) if turned else (_SIGN, _PADDING)
    texts = [row[place].text for row in table.rows]
    longest = max((len(text) for text in texts), default=0)
    if column.numeric:
        word = 3 if turned else max(map(len, column.name.split() or [""]))
        return max(longest * sign, word * sign + (0 if turned else _ARROW)) + padding
    heading = max(map(len, column.name.split() or [""])) * sign + _ARROW
    return max(min(longest, _LONG) * sign, heading) + padding
