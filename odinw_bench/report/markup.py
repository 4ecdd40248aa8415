"""A report as Markdown, its tables as LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from odinw_bench.report.document import Cell, Report, Section, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "⁹": r"\textsuperscript{9}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_LONG = 60  # characters of a name in a Markdown or LaTeX table


def to_markdown(report: Report, page: str) -> str:
    """The report as Markdown; pictures are left to the page.

    Args:
        report: the report.
        page: file name of the page.
    """
    lines = [f"# {_plain(report.title)}", "", *_paragraphs(report.text)]
    lines += [f"The same with sortable tables and a gallery of test images: [{page}]({page}).", ""]
    for section in report.sections:
        lines += _section(section, 2)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, level: int) -> Iterator[str]:
    yield from (f'{"#" * level} <a id="{section.key}"></a>{_plain(section.title)}', "")
    yield from _paragraphs(section.text)
    for table in section.tables:
        yield from _table(table)
    for figure in section.figures:
        yield from (f"![{_plain(figure.caption)}](figures/{figure.key}.png)", "", f"*{_plain(figure.caption)}*", "")
    yield from _paragraphs(section.gallery.text)
    for child in section.children:
        yield from _section(child, level + 1)


def _paragraphs(text: object) -> Iterator[str]:
    assert isinstance(text, tuple | list)
    for paragraph in text:
        yield from (_plain(paragraph), "")


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{_plain(table.caption)}**", "")
    yield "| " + " | ".join(_plain(column.name) for column in table.columns) + " |"
    yield "|" + "|".join("---:" if column.numeric else "---" for column in table.columns) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_markdown_cell(cell) for cell in row) + " |"
    yield ""
    for note in table.notes:
        yield from (_plain(note), "")
    sources = sorted({cell.hint for row in table.rows for cell in row if cell.kind == "published" and cell.hint})
    if sources:
        yield from (f"Sources: {_plain('; '.join(sources))}.", "")


def _markdown_cell(cell: Cell) -> str:
    text = _plain(cell.text)
    return f"*{text}*" if cell.kind == "partial" and text else text


def _plain(text: str) -> str:
    """Text without a meaning in Markdown or HTML, on one line."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", text)


def to_latex(table: Table) -> str:
    r"""A table for ``\input``: wants the package ``booktabs``."""
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        f"% {' '.join(table.caption.split())}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(_latex(column.name) for column in table.columns) + r" \\",
        "\\midrule",
        *(" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        *(f"% {' '.join(note.split())}" for note in table.notes),  # what to know about the numbers goes with them
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.text if len(cell.text) <= _LONG else cell.text[:_LONG] + "...")
    return f"\\textit{{{text}}}" if cell.kind in ("partial", "published") and cell.value is not None else text


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _csv(cell: Cell) -> float | str:
    if cell.written is not None:
        return cell.written
    return "" if cell.value is None else cell.value


def to_csv(table: Table) -> str:
    """A table as CSV with a line of headings: numbers in full, nothing where nothing was measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name.strip() for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv(cell) for cell in row])
    return out.getvalue()
