"""A report as Markdown, its tables as LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from odinw_bench.report.document import Cell, Report, Section, Table
from odinw_bench.utils.escape import for_csv, for_latex, for_markdown, one_line

_LONG = 60  # characters of a name in a Markdown or LaTeX table


def to_markdown(report: Report, page: str) -> str:
    """The report as Markdown; pictures are left to the page.

    Args:
        report: the report.
        page: file name of the page.
    """
    lines = [f"# {for_markdown(report.title)}", "", *_paragraphs(report.text)]
    lines += [f"The same with sortable tables and a gallery of test images: [{page}]({page}).", ""]
    for section in report.sections:
        lines += _section(section, 2)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, level: int) -> Iterator[str]:
    yield from (f'{"#" * level} <a id="{section.key}"></a>{for_markdown(section.title)}', "")
    yield from _paragraphs(section.text)
    for table in section.tables:
        yield from markdown_table(table)
    for figure in section.figures:
        yield from (
            f"![{for_markdown(figure.caption)}](figures/{figure.key}.png)",
            "",
            f"*{for_markdown(figure.caption)}*",
            "",
        )
    yield from _paragraphs(section.gallery.text)
    for child in section.children:
        yield from _section(child, level + 1)


def _paragraphs(text: object) -> Iterator[str]:
    assert isinstance(text, tuple | list)
    for paragraph in text:
        yield from (for_markdown(paragraph), "")


def markdown_table(table: Table) -> Iterator[str]:
    """The lines of a table: its caption, the table, its notes."""
    yield from (f"**{for_markdown(table.caption)}**", "")
    yield "| " + " | ".join(for_markdown(column.name) for column in table.columns) + " |"
    yield "|" + "|".join("---:" if column.numeric else "---" for column in table.columns) + "|"
    best = {id(cell) for cell in table.best()}
    for row in table.rows:
        yield "| " + " | ".join(_markdown_cell(cell, bold=id(cell) in best) for cell in row) + " |"
    yield ""
    for note in table.notes:
        yield from (for_markdown(note), "")
    sources = sorted({cell.hint for row in table.rows for cell in row if cell.kind == "published" and cell.hint})
    if sources:
        yield from (f"Sources: {for_markdown('; '.join(sources))}.", "")


def _markdown_cell(cell: Cell, *, bold: bool = False) -> str:
    text = for_markdown(cell.text)
    if bold:
        return f"**{text}**"
    return f"*{text}*" if cell.kind == "partial" and text else text


def to_latex(table: Table) -> str:
    r"""A table for ``\input``, with caption and label; the best of a column is bold. Wants the package ``booktabs``."""
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    best = {id(cell) for cell in table.best()}
    lines = [
        "\\begin{table}[tb]",
        "\\centering",
        f"\\caption{{{for_latex(table.caption)}.}}",
        f"\\label{{tab:{table.key}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(for_latex(column.name.strip()) for column in table.columns) + r" \\",
        "\\midrule",
        *(" & ".join(_latex_cell(cell, bold=id(cell) in best) for cell in row) + r" \\" for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
        *(f"% {one_line(note)}" for note in table.notes),  # what to know about the numbers goes with them
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell, *, bold: bool = False) -> str:
    text = for_latex(cell.text if len(cell.text) <= _LONG else cell.text[:_LONG] + "...")
    if cell.kind in ("partial", "published") and cell.value is not None:
        return f"\\textit{{{text}}}"
    return f"\\textbf{{{text}}}" if bold else text


def _csv(cell: Cell) -> float | str:
    shown = cell.value if cell.written is None else cell.written
    if isinstance(shown, str):
        return for_csv(shown)
    return "" if shown is None else shown


def to_csv(table: Table) -> str:
    """A table as CSV with a line of headings: numbers in full, nothing where nothing was measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([for_csv(column.name.strip()) for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv(cell) for cell in row])
    return out.getvalue()
