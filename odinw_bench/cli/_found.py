"""What ``predict`` writes: a picture and a file for each photo into a folder, or one file for all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glip_core.errors import InputError
from odinw_bench.cli._looking import Search
from odinw_bench.cli._sources import Photo
from odinw_bench.utils.escape import for_csv
from odinw_bench.utils.free_names import FreeNames
from odinw_bench.utils.io import replacing, write_json, write_text

if TYPE_CHECKING:
    from glip_core import Detections


class Output(Protocol):
    """Takes the detections of one photo after the other."""

    def add(self, photo: Photo, found: Detections) -> dict[str, str]:
        """Take those of a photo; returns the files that were written of it, by kind."""
        ...

    def close(self) -> list[Path]:
        """Write what is to be written at the end; returns the files."""
        ...


def output_to(out: Path, look: Search, threshold: float) -> Output:
    """What writes to a place, by its name: ``.json``, ``.coco.json`` and ``.csv`` are files, all else is a folder.

    Args:
        out: the file or folder; need not be there.
        look: what is looked for.
        threshold: the least score of a box in pictures. Files hold all detections.

    Raises:
        InputError: a file of another kind is asked for.
    """
    if out.is_dir():
        return Folder(out, look, threshold)
    name = out.name.lower()
    if name.endswith(".coco.json"):
        return CocoFile(out, look)
    if name.endswith(".json"):
        return JsonFile(out, look)
    if name.endswith(".csv"):
        return CsvFile(out, look)
    if out.suffix.lower() in (".txt", ".xml", ".jsonl", ".parquet", ".xlsx", ".yaml", ".png", ".jpg", ".mp4"):
        raise InputError(f"--out '{out}': give a folder, or a file that ends in .json, .coco.json or .csv")
    return Folder(out, look, threshold)


class Folder:
    """``NAME.boxes.png`` and ``NAME.boxes.json`` of each photo; photos of one name are numbered."""

    def __init__(self, folder: Path, look: Search, threshold: float) -> None:
        self.folder, self.look, self.threshold = folder, look, threshold
        self.names = FreeNames()

    def add(self, photo: Photo, found: Detections) -> dict[str, str]:
        """See :class:`Output`."""
        name = self.names.take(photo.name)
        picture, data = self.folder / f"{name}.boxes.png", self.folder / f"{name}.boxes.json"
        with replacing(picture) as temporary:
            self.look.draw(photo.image, found.above(self.threshold)).save(temporary, format="PNG")
        write_json(data, photo.to_json() | self.look.to_json(found))
        return {"picture": str(picture), "json": str(data)}

    def close(self) -> list[Path]:
        """See :class:`Output`."""
        return []


class _File:
    """One file for all photos."""

    def __init__(self, path: Path, look: Search) -> None:
        self.path, self.look = path, look

    def add(self, photo: Photo, found: Detections) -> dict[str, str]:
        """See :class:`Output`."""
        self.take(photo, found)
        return {}

    def take(self, photo: Photo, found: Detections) -> None:
        """Keep the detections of a photo until the file is written."""
        raise NotImplementedError


class JsonFile(_File):
    """A list of photos, each as in its own file."""

    def __init__(self, path: Path, look: Search) -> None:
        super().__init__(path, look)
        self.entries: list[dict[str, Any]] = []

    def take(self, photo: Photo, found: Detections) -> None:
        """See :class:`_File`."""
        size = {"width": photo.image.width, "height": photo.image.height}
        self.entries.append(photo.to_json() | size | self.look.to_json(found))

    def close(self) -> list[Path]:
        """See :class:`Output`."""
        write_json(self.path, self.entries)
        return [self.path]


class CsvFile(_File):
    """A line a detection; x, y, width and height in pixels of the photo."""

    COLUMNS = ("image", "frame", "seconds", "class", "score", "x", "y", "width", "height")

    def __init__(self, path: Path, look: Search) -> None:
        super().__init__(path, look)
        self.text = io.StringIO()
        self.lines = csv.writer(self.text, lineterminator="\n")
        self.lines.writerow(self.COLUMNS)

    def take(self, photo: Photo, found: Detections) -> None:
        """See :class:`_File`."""
        at = photo.to_json()
        for one in found:
            box = [round(value, 2) for value in _box(one)]
            image, name = for_csv(at["image"]), for_csv(self.look.names[one.label])
            self.lines.writerow([image, at.get("frame", ""), at.get("seconds", ""), name, round(one.score, 5), *box])

    def close(self) -> list[Path]:
        """See :class:`Output`."""
        write_text(self.path, self.text.getvalue())
        return [self.path]


class CocoFile(_File):
    """A COCO data set whose annotations have a ``score``; what a person would correct in an annotation tool."""

    def __init__(self, path: Path, look: Search) -> None:
        super().__init__(path, look)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def take(self, photo: Photo, found: Detections) -> None:
        """See :class:`_File`."""
        image, at = len(self.images) + 1, photo.to_json()
        name = at["image"] if photo.frame is None else f"{photo.name}.png"
        size = {"width": photo.image.width, "height": photo.image.height}
        self.images.append({"id": image, "file_name": name, **size, **({} if photo.frame is None else at)})
        for one in found:
            box = _box(one)
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image,
                    "category_id": one.label + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": one.score,
                }
            )

    def close(self) -> list[Path]:
        """See :class:`Output`."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self.look.names, start=1)]
        write_json(self.path, {"images": self.images, "annotations": self.annotations, "categories": categories})
        return [self.path]


def _box(one: Any) -> list[float]:
    """COCO's box, with inclusive corners' width."""
    x1, y1, x2, y2 = one.box
    return [x1, y1, x2 - x1 + 1, y2 - y1 + 1]
