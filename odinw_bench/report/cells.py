"""The cells of a table as HTML: a report has a hundred thousand, for which a template takes several times as long."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from odinw_bench.report.document import Cell, Column, Table
from odinw_bench.utils.escape import visible

_LONG = 28
"""Characters from which on a text is broken into lines."""


def row_cells(row: Sequence[Cell], table: Table, best: frozenset[int]) -> Markup:
    """The cells of a row; all text of records is escaped.

    Args:
        row: one of the table's.
        table: its columns, and whether it is of cards.
        best: see :func:`best_cells`.
    """
    parts = [
        _cell(cell, column, first=not place, card=table.cards, best=id(cell) in best)
        for place, (cell, column) in enumerate(zip(row, table.columns, strict=True))
    ]
    return Markup("".join(parts))  # each is escaped


def best_cells(table: Table) -> frozenset[int]:
    """The ``id`` of each cell that is the best of its column."""
    return frozenset(map(id, table.best()))


def sources(table: Table) -> list[str]:
    """The sources of a table's published numbers, each once."""
    return list(
        dict.fromkeys(cell.hint for row in table.rows for cell in row if cell.kind == "published" and cell.hint)
    )


def _cell(cell: Cell, column: Column, *, first: bool, card: bool, best: bool) -> str:
    kind = "number" if column.numeric else "words" if len(cell.text) <= _LONG else "words long"
    kind += f" {cell.kind}" if cell.kind else ""
    kind += " shade" if cell.shade is not None else ""
    kind += " best" if best else ""
    text, value = _shown(cell.text), cell.value
    parts = [f'<th scope="row" role="rowheader" class="{kind}"' if first else f'<td role="cell" class="{kind}"']
    if card:
        parts.append(f' data-label="{_shown(column.name)}"')
    if value is None:
        parts.append(" data-none")
    elif str(value) != cell.text:
        parts.append(f' data-v="{_shown(str(value))}"')
    if cell.shade is not None:
        parts.append(f' style="--shade:{100 * min(max(cell.shade, 0.0), 1.0):.0f}%"')
    if cell.hint:
        parts.append(f' title="{_shown(cell.hint)}"')
    inner = f'<a href="#{_shown(cell.link)}">{text}</a>' if cell.link else text
    return f"{''.join(parts)}>{inner}</{'th' if first else 'td'}>"


def _shown(text: str) -> str:
    return str(escape(visible(text)))
