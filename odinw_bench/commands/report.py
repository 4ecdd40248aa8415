"""``odinw-bench report``: records in, tables, figures and a page out."""

from __future__ import annotations

import sys

from odinw_bench.commands.output import print_json
from odinw_bench.report import ReportSettings, build_report


def command(settings: ReportSettings, as_json: bool) -> None:
    """Write a report and say where it is."""
    written = build_report(settings, say=lambda text: print(text, file=sys.stderr, flush=True))
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    print(f"written: {written[0]}, {written[1]} and {len(written) - 2} tables and figures in {settings.out}")
