"""What names on the command line stand for: one default suite for all verbs, and paths before names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from odinw_bench.cli._console import write_line
from odinw_bench.datasets.task import BUILT_IN_SUITES

DRAWN, OFFICIAL = "mini", "odinw13"
DEFAULT_IN_WORDS = f"Default: {DRAWN}; {OFFICIAL} where a data root is given."


def pick_suite(given: str, data_root: Path | None, *, quiet: bool = False) -> str:
    """The suite to look names up in.

    Args:
        given: what ``--suite`` says; empty: nothing.
        data_root: of the official data; given, these are meant and never the drawn ones.
        quiet: say nothing about it.

    Returns:
        the name or path; a folder of a built-in suite's name goes before that.
    """
    if not given:
        if data_root is None:
            return DRAWN
        if not quiet:
            write_line(f"suite {OFFICIAL}, since a data root is given ({data_root})")
        return OFFICIAL
    if given.lower() in BUILT_IN_SUITES and Path(given).is_dir():
        from odinw_bench.datasets.folder import holds_data_sets

        if holds_data_sets(Path(given)):
            if not quiet:
                write_line(f"--suite {given}: the folder of this name, not the suite")
            return f"./{given}"
    return given


def paths_first(names: Sequence[str], *, quiet: bool = False) -> list[str]:
    """Names of data sets, where one is the path of a data set as that path."""
    found = []
    for name in names:
        plain = "/" not in name and "\\" not in name and name != "all"
        if plain and Path(name).exists():
            from odinw_bench.datasets.folder import is_data_set

            if is_data_set(Path(name)):
                if not quiet:
                    write_line(f"--dataset {name}: the data set of this path, not a task's name")
                name = f"./{name}"
        found.append(name)
    return found
