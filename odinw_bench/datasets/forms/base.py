"""What a form of data sets is: how annotations of the user's are recognised and read."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, check_annotations
from odinw_bench.datasets.headers import SUFFIXES, picture_header
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

    from odinw_bench.datasets.coco import Split

WHOLE = "all"
"""The name of what a folder holds where nobody divided it into splits."""

SPLIT_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "train2017", "train2014"),
    "val": ("val", "valid", "validation", "val2017", "val2014", "dev"),
    "minival": ("minival", "mini_val"),
    "test": ("test", "testing", "test2017"),
}
"""What folders and files of a split are called."""

Box = tuple[int, float, float, float, float]
"""Label (position in the classes), x, y, width, height in pixels."""


class Form(ABC):
    """One way of writing a data set down.

    Attributes:
        name: in task files.
        layout: what it looks like, in a few words: for the message about a folder that is in no form.
        states_sizes: whether annotations say how large the pictures are. Where they do not, nothing tells whether
            boxes are of the picture as stored or as displayed.
        relative: whether boxes are parts of the picture's sides, which make pixels with the size it has.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    states_sizes: ClassVar[bool] = True
    relative: ClassVar[bool] = False

    @abstractmethod
    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """The splits of a folder; the one name :data:`WHOLE` where it has none; nothing where it is in another form.

        Only names of files are looked at, and the beginning of some.
        """

    @abstractmethod
    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """The classes, in the order of their ids.

        Raises:
            InputError: annotations are unusable.
        """

    @abstractmethod
    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """The annotations of one split, as COCO's: file names are relative to :meth:`pictures`.

        Raises:
            InputError: they are unusable; the message names the file.
        """

    def pictures(self, folder: Path, paths: SplitPaths) -> Path:
        """The folder of a split's pictures."""
        return folder / paths.images

    def is_present(self, folder: Path, paths: SplitPaths) -> bool:
        """Whether what a split is read from is there."""
        return (folder / paths.annotations).exists() and (folder / paths.images).is_dir()

    def open(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Split:
        """A split: annotations read, pictures to be read when asked for.

        Raises:
            InputError: see :meth:`read`.
        """
        from odinw_bench.datasets.coco import Split

        where = str(folder / paths.annotations)
        raw = self.read(folder, paths, classes)
        data = check_annotations(raw, where=where, keep_background=True)
        data["info"].setdefault("notes", []).extend(raw.get("info", {}).get("notes", []))
        if not data["info"]["notes"]:
            del data["info"]["notes"]
        root = self.pictures(folder, paths)
        return Split(
            data, functools.partial(load, root.absolute()), sha256=sha256_bytes(canonical_json(raw)), folder=root
        )


def load(folder: Path, file_name: str) -> Image:
    """A picture of a folder, RGB, as stored."""
    from glip_core.images import load_image

    return load_image(folder / file_name)


def named_classes(names: Iterable[str]) -> tuple[TaskClass, ...]:
    """Classes with the ids 1, 2, 3..., in the order given."""
    return tuple(TaskClass(name, number) for number, name in enumerate(names, start=1))


def as_coco(
    folder: Path,
    pictures: Iterable[tuple[str, tuple[int, int] | None, Sequence[Box]]],
    classes: Sequence[TaskClass],
    notes: Sequence[str] = (),
) -> Annotations:
    """COCO annotations out of a list of pictures with their boxes.

    Args:
        folder: of the pictures.
        pictures: (file name, (width, height) or None: as the file has it, boxes) of each.
        classes: what the boxes' labels are positions in.
        notes: what is odd and was accepted, in words.

    Raises:
        InputError: a picture whose size is not stated cannot be read.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (file_name, size, boxes) in enumerate(pictures, start=1):
        width, height = size or picture_header(folder / file_name)[:2]
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for label, *box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": classes[label].category_id,
                    "bbox": [float(value) for value in box],
                }
            )
    categories = [{"id": entry.category_id, "name": entry.name} for entry in classes]
    info = {"notes": list(notes)} if notes else {}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def list_pictures(folder: Path, *, deep: bool = True) -> list[str]:
    """The picture files of a folder as paths relative to it, sorted; hidden ones and links out of it are left out."""
    found = folder.rglob("*") if deep else folder.glob("*")
    names = []
    for path in found:
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            names.append(relative.as_posix())
    return sorted(names)


def split_of(word: str) -> str | None:
    """The split that a folder or file of this name is of; None: of none."""
    return next((name for name, words in SPLIT_WORDS.items() if word.lower() in words), None)


def split_folders(folder: Path) -> dict[str, str]:
    """From splits to the folders in ``folder`` that are called like them."""
    found: dict[str, str] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            name = split_of(path.name)
            if name is not None and path.is_dir():
                found.setdefault(name, path.name)
    return {name: found[name] for name in SPLIT_WORDS if name in found}


def join(*parts: str) -> str:
    """A relative path out of its parts, such as ``images/train``."""
    return PurePosixPath(*parts).as_posix()


def subfolder(folder: Path, *names: str) -> str | None:
    """The first folder in ``folder`` that has one of these names, in any case."""
    if not folder.is_dir():
        return None
    there = {path.name.lower(): path.name for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), None)


def text_lines(path: Path, *, what: str) -> list[str]:
    """The lines of a text file without blanks around them; empty ones are left out.

    Raises:
        InputError: it is missing, too large or not UTF-8.
    """
    from odinw_bench.utils.io import read_bytes

    try:
        text = read_bytes(path, what=what, limit=64 << 20).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} '{path}' is not UTF-8 text (byte {error.start})") from error
    lines = re.split(r"\r\n?|\n", text)  # not splitlines(): JSON may have other separators within its strings
    return [line.strip() for line in lines if line.strip()]


def beginning(path: Path, count: int = 4096) -> bytes:
    """The first bytes of a file; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""
