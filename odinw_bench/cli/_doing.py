"""The work of ``odinw-bench run`` once its grids are planned."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from odinw_bench.cli._console import fail, write_line

if TYPE_CHECKING:
    from odinw_bench.runs.options import RunOptions
    from odinw_bench.runs.plan import Plan


def do_plan(planned: Plan, options: RunOptions, *, eval_split: str, as_json: bool, debug: bool) -> int:
    """Do what is not done yet, and print the table; returns the exit code."""
    from odinw_bench.cli._plan import announce
    from odinw_bench.cli._progress import GridProgress
    from odinw_bench.cli._results import Result, print_results
    from odinw_bench.engine.distributed import ProcessFailedError
    from odinw_bench.runs.begun import begun
    from odinw_bench.runs.claims import tidy
    from odinw_bench.runs.launchers import choose_engine
    from odinw_bench.runs.launchers.base import under_torchrun
    from odinw_bench.runs.launchers.local import TorchrunEngine
    from odinw_bench.runs.record import read_record

    engine = choose_engine(options, [cell.facts for cell in planned.todo])
    if isinstance(engine, TorchrunEngine):
        try:
            planned = engine.agree(planned, options)
        except ProcessFailedError as error:
            fail(error)
            return 1
    todo = planned.todo
    is_main = not under_torchrun() or os.environ["RANK"] == "0"
    for cell in planned.kept if is_main else ():
        tidy(cell.folder)
    if is_main and todo and not options.quiet and not as_json:
        announce(planned, options, engine.workers_for(todo, options))
    named = [cell.folder for cell in todo] if is_main else []
    with (
        begun(options.results, named, before=len(planned.kept), force=options.force),
        GridProgress([cell.name for cell in todo], show=is_main and not options.quiet and not as_json) as progress,
    ):
        try:
            outcomes = engine.run(todo, options, progress)
        except ProcessFailedError as error:  # of this process, whichever it is
            fail(error)
            if debug:
                raise
            return 1
    outcome_of = {cell.folder: outcome for cell, outcome in zip(todo, outcomes, strict=True)}
    results = []
    for cell in planned.cells:
        outcome = outcome_of.get(cell.folder)
        if outcome is None:
            results.append(Result(cell, read_record(cell.folder)))
        else:
            results.append(Result(cell, outcome.record, outcome.error))
            if debug and outcome.details:
                for line in outcome.details.splitlines():
                    write_line(line, file=sys.stderr)
    failed = any(result.error for result in results)
    code = 0 if not failed else 2 if any(outcome.unusable for outcome in outcomes) else 1
    if not is_main:
        return code
    print_results(results, eval_split=eval_split, as_json=as_json)
    progress.print_errors()
    if not as_json:
        before = f" ({len(planned.kept)} of {len(planned.cells)} were done before)" if planned.kept else ""
        write_line(f"records: {options.results}{before}")
    return code
