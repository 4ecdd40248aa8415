"""Pictures that a run would be tuned and tested on: numbers from them are worth nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.coco import Split

if TYPE_CHECKING:
    from PIL.Image import Image

COMPARED = "bytes of files, blank frames left out"
"""What :func:`leaked` compares, as records say it. Copies that were encoded again are found by ``data check`` alone."""

_BLANK = 4
"""Levels of 255 that a picture of one colour may span: JPEG rounds."""


def is_blank(picture: Image) -> bool:
    """Whether an RGB picture is of one colour: a camera's cap, a missing frame. Any two of them are equal by chance."""
    return all(high - low <= _BLANK for low, high in picture.getextrema())  # type: ignore[misc]


def leaked(train: Split, test: Split) -> list[tuple[str, str]]:
    """Pictures of one split whose files are, byte for byte, pictures of the other; blank ones do not count.

    Only files of equal size are read, and only equal ones decoded, so this costs little more than listing them.

    Returns:
        (name in ``train``, name in ``test``) of each; nothing where a split's pictures are not files.
    """
    if train.folder is None or test.folder is None:
        return []
    of_size: dict[int, list[tuple[str, Path]]] = {}
    for name, path in _files(test, test.folder):
        of_size.setdefault(path.stat().st_size, []).append((name, path))
    hashes: dict[Path, str] = {}
    blank: dict[str, bool] = {}

    def digest(path: Path) -> str:
        if path not in hashes:
            hashes[path] = file_sha256(path)
        return hashes[path]

    pairs = []
    for name, path in _files(train, train.folder):
        for other_name, other in of_size.get(path.stat().st_size, ()):
            if digest(path) == digest(other):
                if digest(path) not in blank:
                    blank[digest(path)] = _is_blank_file(path)
                if not blank[digest(path)]:
                    pairs.append((name, other_name))
                break
    return pairs


def _is_blank_file(path: Path) -> bool:
    from glip_core.images import load_image

    try:
        return is_blank(load_image(path))
    except InputError:  # whoever reads it says so
        return False


def _files(split: Split, folder: Path) -> list[tuple[str, Path]]:
    """The pictures that are there; whoever reads them names those that are not."""
    found = []
    for image_id in split.image_ids:
        name = split.file_name(image_id)
        try:
            if (folder / name).is_file():
                found.append((name, folder / name))
        except OSError:  # a name longer than any file's
            continue
    return found
