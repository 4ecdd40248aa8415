"""The runs on the test split that a search ends with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from odinw_bench.runs.claims import when_free
from odinw_bench.runs.run import run
from odinw_bench.runs.schema import RunRecord
from odinw_bench.runs.spec import RunSpec
from odinw_bench.search.settings import SearchSettings


def run_once_free(spec: RunSpec, settings: SearchSettings, say: Callable[[str], None]) -> RunRecord:
    """The record of a run; another search that ends at the same time, and does this very run, is waited for.

    Args:
        spec: the run.
        settings: of the search.
        say: called with a line of text where there is something to wait for.
    """
    work = partial(run, spec, settings.results, data_root=settings.data_root, device=settings.device)
    return when_free(work, say)
