"""What a report is made of, whatever it is written as: sections of text, tables, figures and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: as people read it.
        value: what is sorted by and written to CSV; None: nothing was measured.
        hint: shown on hover, and to screen readers.
        shade: 0 to 1, for heat maps; None: no colour.
        kind: ``published`` or ``partial``, which are set off; else empty.
        link: anchor of a section; empty: none.
        written: what CSV holds in place of the value, where that only says how to sort.
    """

    text: str
    value: float | str | None = None
    hint: str = ""
    shade: float | None = None
    kind: str = ""
    link: str = ""
    written: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        numeric: aligned to the right, sorted by value.
        hint: what it means.
        best: the highest number of the column is set in bold.
    """

    name: str
    numeric: bool = False
    hint: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        key: file name without ending, unique within a suite.
        caption: what it shows.
        columns: its columns.
        rows: as many cells each.
        notes: below it.
        cards: on a narrow screen each row is a block of lines; for short tables with much text.
        folded: the page shows its caption alone until it is opened.
    """

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    cards: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table '{self.key}' has rows that do not fit its {len(self.columns)} columns")

    def best(self) -> list[Cell]:
        """The best cell of each column that has a best one, several among equals.

        A mean over fewer tasks (``partial``) and a published number are not compared, nor is one number alone.
        """
        found: list[Cell] = []
        for place, column in enumerate(self.columns):
            cells = [row[place] for row in self.rows if not row[place].kind] if column.best else []
            values = [cell.value for cell in cells if isinstance(cell.value, float | int)]
            highest = max(values, default=0)
            if len(values) > 1 and min(values) < highest:
                found += [cell for cell in cells if cell.value == highest]
        return found


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        key: file name without ending, unique within a suite.
        caption: what it shows, over which tasks.
        alt: its content in words.
        panels: (title, SVG) of each part, as the page shows them beside or below each other; none for a figure whose
            content stands there as a table.
        png: the whole as one picture.
        svg: the whole as one drawing.
    """

    key: str
    caption: str
    alt: str
    panels: Sequence[tuple[str, str]]
    png: bytes
    svg: str


@dataclass(frozen=True)
class Box:
    """A box on a picture.

    Attributes:
        xywh: left, top, width, height in pixels.
        label: name of the class, with the score of a detection.
        colour: number of the class's colour.
        good: found (a ground truth) or right (a detection).
    """

    xywh: tuple[float, float, float, float]
    label: str
    colour: int
    good: bool


@dataclass(frozen=True)
class Picture:
    """A test image with its ground truth and the detections on it.

    Attributes:
        name: file name.
        verdict: ``worst`` or ``best``, and the numbers behind it.
        size: (width, height) in pixels that boxes are given in.
        data_uri: the picture itself.
        truth: boxes to find.
        found: detections.
    """

    name: str
    verdict: str
    size: tuple[int, int]
    data_uri: str
    truth: Sequence[Box]
    found: Sequence[Box]


@dataclass(frozen=True)
class Gallery:
    """Pictures, and what they show or why there are none.

    Attributes:
        text: paragraphs.
        pictures: the worst first, then the best.
    """

    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        key: its anchor, unique within the report.
        title: its heading.
        text: paragraphs before the tables.
        tables: tables.
        figures: figures.
        gallery: pictures, after the tables.
        children: sections below it.
        folded: the page shows its heading alone until it is opened.
    """

    key: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    gallery: Gallery = Gallery()
    children: Sequence[Section] = ()
    folded: bool = False

    def walk(self) -> Iterator[Section]:
        """This section and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: its heading.
        text: what it was made from.
        sections: one per suite, then what concerns all.
    """

    title: str
    text: Sequence[str]
    sections: Sequence[Section] = field(default_factory=tuple)

    def walk(self) -> Iterator[Section]:
        """All sections, depth first."""
        for section in self.sections:
            yield from section.walk()


NOTHING = Cell("–")
"""A cell without a number."""


def text_cell(text: str, *, hint: str = "", kind: str = "", link: str = "") -> Cell:
    """A cell of words."""
    return Cell(text, text, hint=hint, kind=kind, link=link)


def number_cell(
    value: float | None, digits: int = 1, *, sign: bool = False, hint: str = "", kind: str = "", of: str = ""
) -> Cell:
    """A cell of a number; a dash for None and NaN.

    Args:
        value: the number.
        digits: after the point.
        sign: with a sign, for differences.
        hint: on hover.
        kind: see :class:`Cell`.
        of: text after the number.
    """
    if value is None or math.isnan(value):
        return Cell("–", None, hint=hint, kind=kind)
    return Cell(format_number(value, digits, sign=sign) + of, round(value, 4), hint=hint, kind=kind)


def format_number(value: float, digits: int = 1, *, sign: bool = False) -> str:
    """A number with thousands separated and a true minus; what rounds to 0 has no sign."""
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def listed(names: Sequence[str], limit: int = 40) -> str:
    """Names in a row, cut when there are many."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
