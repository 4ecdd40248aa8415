"""A page of its own: what later models reach on ODinW by their authors' word, each number with its caveats."""

from __future__ import annotations

from collections.abc import Sequence

from odinw_bench.metrics.published import (
    PublishedModel,
    caveats,
    facts,
    official_code,
    per_dataset_2026,
    state_of_the_art,
)
from odinw_bench.report.document import NOTHING, Cell, Column, Report, Section, Table, text_cell

PAGE = "published.html"
_AS_NOTES = ("to know", "source")
_SHOTS = ("0", "1", "3", "5", "10", "full")


def published_page() -> Report:
    """Published numbers alone: nothing on it was measured by this program."""
    text = [
        "Published numbers, none of them measured here. AP is COCO's mean over IoU 0.50 to 0.95, in percent, a plain "
        "mean over the tasks. Protocols differ in prompts, splits, subsets and training: read the notes whose numbers "
        "stand in the column 'to know'.",
        "Splits: GLIP's own README evaluates 'val' zero-shot ('minival' for two tasks) and 'test' after tuning; "
        "mmdetection reports 'val', SAM 3 'test' (PascalVOC: 'valid'); most of the others do not say.",
    ]
    sections = [
        Section("means", "Means over ODinW-13 and ODinW-35", tables=[_means()]),
        Section("tasks", "By task, where known", tables=[_by_task()]),
        Section("released", "The GLIP weights that can be downloaded", tables=[_released()]),
    ]
    return Report("Published results on ODinW", text, sections)


def _means() -> Table:
    columns = [
        Column("model"),
        Column("kind", hint="trained on, or prompted by"),
        *(Column(f"{shots} shots" if shots.isdigit() else "all data", numeric=True) for shots in _SHOTS),
        Column("ODinW-35, 0 shots", numeric=True),
        Column("to know"),
        Column("source"),
    ]
    rows = [
        [
            text_cell(one.model),
            text_cell(one.kind),
            *(printed_cell(one.odinw13.get(shots, "")) for shots in _SHOTS),
            printed_cell(one.odinw35),
            text_cell(to_know(one)),
            text_cell(one.source),
        ]
        for one in state_of_the_art()
    ]
    return Table(
        "published-means", "AP over 13 tasks by shots, and over 35 tasks zero-shot", columns, *_footnotes(columns, rows)
    )


def _footnotes(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> tuple[list[list[Cell]], list[str]]:
    """The long texts of a table as numbers, each with its note below the table; files keep the texts in their cells."""
    numbers: dict[str, int] = {}
    made = []
    for row in rows:
        cells = list(row)
        for place, column in enumerate(columns):
            text = cells[place].text
            if column.name in _AS_NOTES and text:
                number = numbers.setdefault(text, len(numbers) + 1)
                cells[place] = Cell(str(number), number, hint=text, written=text)
        made.append(cells)
    return made, [f"{number}: {text}" for text, number in numbers.items()]


def to_know(one: PublishedModel) -> str:
    """The caveats of a line in one cell."""
    return " ".join(filter(None, [one.note, *caveats("state-of-the-art", model=one.model)]))


def _by_task() -> Table:
    tasks = list(facts()["glip_zero_shot_and_tuning"][0]["per_dataset"])
    notes = {one.model: to_know(one) for one in state_of_the_art()}
    columns = [
        Column("model"),
        Column("shots", numeric=True),
        *(Column(task, numeric=True) for task in tasks),
        Column("mean", numeric=True),
        Column("to know"),
        Column("source"),
    ]
    rows = [
        [
            text_cell(row["model"]),
            text_cell(row["shots"]),
            *(printed_cell(row[task]) for task in tasks),
            printed_cell(row["mean_published"]),
            text_cell(notes.get(row["model"], "")),
            text_cell(row["source"]),
        ]
        for row in per_dataset_2026()
    ]
    return Table("published-tasks", "AP by task", columns, *_footnotes(columns, rows))


def _released() -> Table:
    readme, code = facts()["glip_readme"], official_code()
    columns = [
        Column("model"),
        Column("README, 0 shots", numeric=True, hint=readme["source"]),
        Column("official code, 0 shots", numeric=True, hint=code["source"]),
        Column("ODinW-35, official code", numeric=True, hint=code["source"]),
        Column("to know"),
    ]
    rows = []
    for name, row in readme["averages"].items():
        known = code["rows"].get(name, {})
        paper = name.split(" (CC3M")[0]
        notes = [*caveats("released", model=paper, mode="zero-shot", shots="0")]
        notes += [
            text for text in caveats("official-code", model=paper, mode="zero-shot") if known and text not in notes
        ]
        rows.append(
            [
                text_cell(name),
                printed_cell(f"{'~' if row.get('approximate') else ''}{row['ap']}"),
                printed_cell(str(known.get("average", ""))),
                printed_cell(str(known.get("odinw35_average", ""))),
                text_cell(" ".join(notes)),
            ]
        )
    notes = [f"Sources: {readme['source']}; {code['source']}.", f"README: {readme['note']}."]
    cells, below = _footnotes(columns, rows)
    return Table("published-released", "Zero-shot AP of the released GLIP weights", columns, cells, [*below, *notes])


def printed_cell(text: str) -> Cell:
    """A number as its source prints it, with its spread or sign of doubt; a dash for none."""
    if not text:
        return NOTHING
    value = float(text.lstrip("~").partition("±")[0])
    return Cell(text, value, kind="published", written=text)
