"""Picture files: there, readable, of the size that their annotations state, and not twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.checks.findings import Findings
from odinw_bench.datasets.checks.lookalikes import Lookalikes
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.duplicates import is_blank
from odinw_bench.utils.io import stays_inside

_LONG = 150


def check_pictures(
    root: Path,
    folder: Path,
    split: str,
    images: Sequence[Mapping[str, Any]],
    findings: Findings,
    seen: dict[str, tuple[str, str]],
    alike: Lookalikes,
    tick: Callable[[str, int, int], None],
    opened: Split | None = None,
) -> None:
    """Decode and hash every picture of a split, one at a time.

    Args:
        root: the data folder, which nothing should lead out of.
        folder: where they lie.
        split: its name.
        images: entries of the annotation file.
        findings: what is found is added.
        seen: from a file's hash to the (split, name) that had it first; carried from split to split. Without those of
            the split that this one is a subset of by design.
        alike: gets every picture that no split had before, byte for byte; likewise.
        tick: called with (split, pictures done, pictures in all).
        opened: the split as a run would open it, whose pictures may be turned; None: it cannot be opened.
    """
    for number, image in enumerate(images, start=1):
        name = image.get("file_name")
        if isinstance(name, str) and name and stays_inside(name):
            _check_picture(root, folder, split, name, image, findings, seen, alike, opened)
        tick(split, number, len(images))


def _check_picture(
    root: Path,
    folder: Path,
    split: str,
    name: str,
    image: Mapping[str, Any],
    findings: Findings,
    seen: dict[str, tuple[str, str]],
    alike: Lookalikes,
    opened: Split | None,
) -> None:
    from glip_core.images import load_image

    path = folder / name
    try:
        there = path.is_file()
    except OSError:  # a name longer than any file's
        there = False
    if there and not path.resolve().is_relative_to(root.resolve()):
        findings.add(split, "link out of the data folder", f"{name} is {path.resolve()}")
    if not there:
        findings.add(split, "picture missing", name if len(name) < _LONG else f"{name[:_LONG]}...")
        return
    try:
        picture = load_image(path) if opened is None else opened.load_image(name)
    except InputError as error:
        findings.add(split, "picture unreadable", str(error))
        return
    size = picture.size
    stated = (image.get("width"), image.get("height"))
    if size != stated:
        findings.add(split, "wrong image size", f"{name}: {size[0]}x{size[1]}, not {stated[0]}x{stated[1]} as stated")
    first = seen.setdefault(file_sha256(path), (split, name))
    if first == (split, name):
        alike.add(split, name, picture)
        return
    if first[0] == split:
        findings.add(split, "same picture twice in a split", f"{name} is {first[1]}")
    elif not is_blank(picture):
        findings.add(split, "same picture in two splits", f"{name} is {first[1]} of {first[0]}")
