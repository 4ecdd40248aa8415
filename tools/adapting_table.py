"""Print the table of ways of adapting (gain, cost, what is left) of some records as Markdown.

python -m tools.adapting_table RESULTS
"""

from __future__ import annotations

import sys
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.report.adapting import adapting_section
from odinw_bench.report.averages import split_suites
from odinw_bench.report.load import load_runs
from odinw_bench.report.markup import markdown_table


def main() -> None:
    """Print the table of each suite that has one."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    try:
        runs = load_runs(Path(sys.argv[1]))
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
    sections = [section for suite in split_suites(runs) if (section := adapting_section(suite))]
    if not sections:
        raise SystemExit(f"error: no run in '{sys.argv[1]}' was made with --retention")
    for section in sections:
        for table in section.tables:
            print("\n".join(markdown_table(table)))


if __name__ == "__main__":
    main()
