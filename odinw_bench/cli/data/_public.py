"""Public files for ``odinw-bench data download``: sizes and licences are said, and wanted is a yes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import write_line


def download_public(
    suite: str,
    parts: Sequence[str],
    data_root: Path,
    *,
    yes: bool,
    rows: list[dict[str, str]],
    as_json: bool,
    say: Callable[[str], None],
) -> None:
    """Get the public files of a suite.

    Args:
        suite: one with public files.
        parts: of it; none: what testing reads.
        data_root: folder to put them in.
        yes: agreed to already.
        rows: is given a row a file.
        as_json: print nothing but JSON, and so ask nothing.
        say: called with a line of text at each step.

    Raises:
        InputError: it was not agreed to, or a download failed.
    """
    from odinw_bench.datasets.download.public import by_hand, download_file, is_here, public_files, sizes

    files = public_files(suite, parts or ("test",))
    missing = [file for file in files if not is_here(file, data_root)]
    rows += [{"file": one.name, "outcome": "already here", "folder": str(data_root / one.into)} for one in files
             if one not in missing]  # fmt: skip
    if missing:
        known = sizes(missing)
        for file in missing:
            size = known[file.name]
            amount = "size not known" if size is None else f"{size / 1e9:.2f} GB"
            say(f"{file.name}: {amount} from {file.source} into {data_root / file.into}; {file.licence}")
        total = sum(size or 0 for size in known.values())
        say(f"to download: {total / 1e9:.2f} GB, and about as much again while it is unpacked")
        _agree(yes=yes, as_json=as_json)
    for file in missing:
        done = download_file(file, data_root, say)
        rows.append({"file": done.name, "outcome": done.outcome, "folder": str(done.folder)})
    if not as_json:
        for row in rows:
            write_line(f"{row['file']}: {row['outcome']}, {row['folder']}")
    if by_hand(suite):
        say(f"by hand: {by_hand(suite)}")


def _agree(*, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise InputError("nothing was downloaded: agree to the sizes and licences above with --yes")
    if not typer.confirm("Download?"):
        raise InputError("nothing was downloaded")
