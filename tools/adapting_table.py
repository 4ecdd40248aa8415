"""Print the tables of ways of adapting (gain, cost, what is left) of some records as Markdown.

``python -m tools.adapting_table RESULTS [--shots 5]``; with ``--shots`` the last table, of gain and cost, has the rows
of that number of images alone. The others have a column for each number.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.report.adapting import adapting_section
from odinw_bench.report.averages import split_suites
from odinw_bench.report.document import Table
from odinw_bench.report.load import load_runs
from odinw_bench.report.markup import markdown_table


def main() -> None:
    """Print the tables of each suite that has some."""
    parser = argparse.ArgumentParser(description="Print the tables of ways of adapting of some records as Markdown.")
    parser.add_argument("results", type=Path, help="the folder of the records")
    parser.add_argument("--shots", help="gain and cost of this number of images per class alone")
    arguments = parser.parse_args()
    try:
        runs = load_runs(arguments.results)
    except InputError as error:
        parser.error(str(error))
    sections = [section for suite in split_suites(runs) if (section := adapting_section(suite))]
    if not sections:
        parser.error(f"no run in '{arguments.results}' was made with --retention")
    for section in sections:
        for table in _with_shots(section.tables, arguments.shots):
            print("\n".join(markdown_table(table)))


def _with_shots(tables: Sequence[Table], shots: str | None) -> Iterator[Table]:
    """The tables; those that have a row for each number of images, with the rows of one number."""
    for table in tables:
        names = [column.name for column in table.columns]
        if shots is not None and "shots" in names:
            place = names.index("shots")
            table = replace(table, rows=[row for row in table.rows if row[place].text == shots])
        yield table


if __name__ == "__main__":
    main()
