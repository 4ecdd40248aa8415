"""Where in a data root the files of a suite may lie: people keep them in more than one layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glip_core.errors import InputError


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
