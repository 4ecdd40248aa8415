"""A camera's EXIF orientation: whether boxes are of the pictures as stored or as viewers show them.

The official loader leaves pictures as they are stored, and so do official data here. For one's own, the sizes that the
annotations state decide: where they are those of the turned picture, it is turned.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.forms.base import Form, load
from odinw_bench.datasets.headers import displayed_size, picture_header, upright
from odinw_bench.datasets.task import Exif
from odinw_bench.utils.io import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["displayed", "stored", "either", "neither"]
"""Which of a picture's two sizes its annotations state."""

REMEDY = "say 'exif: apply' (boxes are of the displayed pictures) or 'exif: ignore' in a task.yaml beside the data"


def fits(split: Split) -> dict[Fit, list[str]]:
    """The pictures whose cameras noted an orientation, by which of their sizes the annotations state.

    ``either`` are those of equal sides and those that are upside down or mirrored. Pictures that cannot be read are
    left out: whoever reads them says so.
    """
    found: dict[Fit, list[str]] = {}
    if split.folder is None:
        return found
    for image_id in split.image_ids:
        name = split.file_name(image_id)
        try:
            header = picture_header(split.folder / name)
        except InputError:
            continue
        if header[2] != 1:
            stated, stored, shown = split.size(image_id), header[:2], displayed_size(header)
            fit: Fit = "neither"
            if stated in (stored, shown):
                fit = "either" if stored == shown else "displayed" if stated == shown else "stored"
            found.setdefault(fit, []).append(name)
    return found


def decide(split: Split, others: Iterable[Split], exif: Exif | None, form: Form, *, where: str) -> Exif:
    """What to do with the orientations of a split: the same as with those of the data set's other splits.

    Args:
        split: of the user's own.
        others: of the same data set; only looked at where a picture of the split has an orientation.
        exif: what the task file says.
        form: whether it states how large pictures are; else the sizes in the splits are those stored.
        where: how errors call the split.

    Raises:
        InputError: the pictures contradict each other, or nothing tells.
    """
    if exif is not None:
        return exif
    found = fits(split)
    if not form.states_sizes and found:
        names = [name for listed in found.values() for name in listed]
        raise InputError(
            f"{where}: {len(names)} pictures have an EXIF orientation, such as '{names[0]}', and the labels do not "
            f"tell whether they were drawn with it: {REMEDY}"
        )
    if not found:
        return "ignore"
    everywhere = [(split, found), *((other, fits(other)) for other in others)]
    shown, stored = (
        [str(one.folder / name) for one, here in everywhere if one.folder is not None for name in here.get(fit, [])]
        for fit in ("displayed", "stored")
    )
    if shown and stored:
        raise InputError(
            f"{where}: by the stated sizes in all splits {len(shown)} pictures were annotated as viewers turn them "
            f"('{shown[0]}') and {len(stored)} as stored ('{stored[0]}'): correct the sizes, or {REMEDY}"
        )
    return "apply" if shown else "ignore"


def turned(split: Split, form: Form) -> Split:
    """The split with its pictures as viewers show them; its hash and notes say so. Unchanged where none is turned.

    Args:
        split: with pictures that are files.
        form: where it states no sizes, those in the split are the stored ones and are replaced.
    """
    assert split.folder is not None
    headers = dict(_turned_headers(split.folder, (split.file_name(image_id) for image_id in split.image_ids)))
    if not headers:
        return split
    annotations = split.annotations
    if not form.states_sizes:
        annotations = _with_displayed_sizes(split, headers, boxes=form.relative)
    kinds = Counter(header[2] for header in headers.values())
    note = f"{sum(kinds.values())} pictures are turned by their EXIF orientation, as they were annotated"
    info = annotations.get("info", {})
    annotations = {**annotations, "info": {**info, "notes": [*info.get("notes", []), note]}}
    sha256 = sha256_bytes(canonical_json([split.sha256, "exif orientation applied"]))
    loader = functools.partial(load_upright, split.folder.absolute())
    return Split(annotations, loader, sha256=sha256, image_ids=split.image_ids, folder=split.folder)


def load_upright(folder: Path, file_name: str) -> Image:
    """A picture of a folder, RGB, as viewers show it."""
    return upright(load(folder, file_name), picture_header(folder / file_name)[2])


def _turned_headers(folder: Path, names: Iterable[str]) -> Iterable[tuple[str, tuple[int, int, int]]]:
    for name in names:
        try:
            header = picture_header(folder / name)
        except InputError:
            continue
        if header[2] != 1:
            yield name, header


def _with_displayed_sizes(split: Split, headers: dict[str, tuple[int, int, int]], *, boxes: bool) -> Annotations:
    """Sizes as displayed, and with ``boxes`` those that were made with the stored ones."""
    factors = {}
    images = []
    for image in split.annotations["images"]:
        header = headers.get(image["file_name"])
        if header is not None:
            width, height = displayed_size(header)
            factors[image["id"]] = (width / image["width"], height / image["height"])
            image = {**image, "width": width, "height": height}
        images.append(image)
    entries = []
    for box in split.annotations["annotations"]:
        if boxes and box["image_id"] in factors:
            across, down = factors[box["image_id"]]
            x, y, width, height = box["bbox"]
            box = {**box, "bbox": [x * across, y * down, width * across, height * down]}
        entries.append(box)
    return {**split.annotations, "images": images, "annotations": entries}
