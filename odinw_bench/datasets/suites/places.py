"""Where in a data root the files of a suite may lie: people keep them in more than one layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.task import SplitPaths


def first_file(root: Path, candidates: Iterable[str]) -> Path | None:
    """The first of these files that exists."""
    return next((root / one for one in candidates if (root / one).is_file()), None)


def picture_folder(root: Path, candidates: Iterable[str], example: str, *, remedy: str) -> Path:
    """The first of these folders that holds a picture.

    Args:
        root: the data root.
        candidates: folders relative to it.
        example: file name of a picture of the data set.
        remedy: where pictures come from, for the error.

    Raises:
        InputError: none does.
    """
    listed = list(candidates)
    for folder in listed:
        if (root / folder / example).is_file():
            return root / folder
    raise InputError(f"picture '{example}' not found in '{root}': looked in {', '.join(listed)}; {remedy}")


def relative_place(
    root: Path, annotations: Path | None, folders: Iterable[str], published: SplitPaths
) -> SplitPaths | None:
    """Where a split lies, relative to the data root; None where its annotations or all picture folders are missing.

    Args:
        root: the data root.
        annotations: the annotation file that was found; None: none was.
        folders: where pictures may lie.
        published: the split as the task has it, for its number of images.
    """
    folder = next((one for one in folders if (root / one).is_dir()), None)
    if annotations is None or folder is None:
        return None
    return replace(published, annotations=annotations.relative_to(root).as_posix(), images=folder)
