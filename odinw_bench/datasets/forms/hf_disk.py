"""What ``save_to_disk`` of Hugging Face's ``datasets`` writes: Arrow tables, pictures and all.

Read by that library, an extra: ``pip install 'odinw-bench[datasets]'``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations
from odinw_bench.datasets.forms.base import SPLIT_WORDS, WHOLE, Box, Form, as_coco, named_classes, split_of
from odinw_bench.datasets.forms.imagefolder import CLASSES, OBJECTS, objects_of
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import sha256_bytes, write_bytes

if TYPE_CHECKING:
    from datasets import Dataset

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_ENDINGS = {b"\xff\xd8": ".jpg", b"\x89PN": ".png", b"RIF": ".webp", b"BM": ".bmp", b"GIF": ".gif", b"II*": ".tif"}


class SavedDataset(Form):
    """A ``DatasetDict`` or ``Dataset`` with a column of pictures and one of ``objects``.

    The pictures are written to ``$XDG_CACHE_HOME/odinw-bench/datasets`` once, with the bytes that they have in the
    table.
    """

    name = "hf-disk"
    layout = "what save_to_disk of Hugging Face's datasets wrote"
    states_sizes = False

    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """Those of the ``DatasetDict``; a ``Dataset`` has none."""
        if (folder / _STATE).is_file() and (folder / "dataset_info.json").is_file():
            return {WHOLE: SplitPaths(".", ".")}
        if not (folder / _SPLITS).is_file():
            return {}
        inner = sorted(path.name for path in folder.iterdir() if (path / _STATE).is_file())
        if len(inner) == 1:
            return {split_of(inner[0]) or WHOLE: SplitPaths(inner[0], inner[0])}
        found = {split: name for name in reversed(inner) if (split := split_of(name)) is not None}
        return {split: SplitPaths(found[split], found[split]) for split in SPLIT_WORDS if split in found}

    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """The names of the ``ClassLabel``, in its order; else the texts in the column, sorted."""
        tables = [_open(folder / paths.annotations) for paths in splits.values()]
        names = _label_names(tables[0].features)
        if names is None:
            rows = (row for table in tables for row in table.remove_columns(_image_column(table, folder)))
            found = {label for row in rows for label, *_ in objects_of(row, f"data set '{folder}'")}
            if not found or not all(isinstance(label, str) for label in found):
                raise InputError(
                    f"data set '{folder}': its classes have no names: cast the column to ClassLabel, or save texts"
                )
            names = sorted(found)
        return named_classes(names)

    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """The rows of a table; the pictures are written out where they are not yet."""
        from datasets import Image

        table = _open(folder / paths.annotations)
        column = _image_column(table, folder)
        label_of: dict[Any, int] = {entry.name: index for index, entry in enumerate(classes)}
        label_of |= {index: index for index in range(len(classes))}
        out = self.pictures(folder, paths)
        listed = []
        for number, row in enumerate(table.cast_column(column, Image(decode=False))):
            picture = row.pop(column) or {}
            data = picture.get("bytes")
            if data is None and picture.get("path"):
                data = Path(picture["path"]).read_bytes() if Path(picture["path"]).is_file() else None
            where = f"data set '{folder / paths.annotations}' row {number}"
            if not data:
                raise InputError(f"{where} has no picture")
            ending = next((end for magic, end in _ENDINGS.items() if data.startswith(magic)), ".img")
            file = out / f"{number:06d}{ending}"
            if not file.is_file() or file.stat().st_size != len(data) or file.read_bytes() != data:
                write_bytes(file, data)
            boxes: list[Box] = []
            for label, x, y, width, height in objects_of(row, where):
                if label not in label_of:
                    raise InputError(f"{where}: class {label!r} is none of the task's")
                boxes.append((label_of[label], x, y, width, height))
            listed.append((file.name, None, boxes))
        return as_coco(out, listed, classes)

    def pictures(self, folder: Path, paths: SplitPaths) -> Path:
        """A folder of the cache, by the path of the table."""
        base = os.environ.get("XDG_CACHE_HOME")
        cache = (Path(base) if base else Path.home() / ".cache") / "odinw-bench" / "datasets"
        return cache / sha256_bytes(os.fsencode((folder / paths.annotations).resolve()))[:32]


def _open(folder: Path) -> Dataset:
    try:
        from datasets import load_from_disk
    except ImportError as error:
        raise InputError(
            f"'{folder}' is a data set of Hugging Face's library: pip install 'odinw-bench[datasets]' to read it"
        ) from error
    try:
        return load_from_disk(str(folder))
    except Exception as error:  # whatever Arrow finds wrong with the files
        raise InputError(f"data set '{folder}' cannot be read: {' '.join(str(error).split())}") from error


def _image_column(table: Dataset, folder: Path) -> str:
    from datasets import Image

    found = [name for name, feature in table.features.items() if isinstance(feature, Image)]
    if len(found) != 1:
        raise InputError(
            f"data set '{folder}' must have one column of pictures, not {len(found)}: {list(table.features)}"
        )
    return found[0]


def _label_names(features: Mapping[str, Any]) -> list[str] | None:
    """The names of the ``ClassLabel`` among the objects' columns."""
    inner = next((features[key] for key in OBJECTS if key in features), features)
    inner = getattr(inner, "feature", inner)
    inner = inner[0] if isinstance(inner, list) else inner
    if not isinstance(inner, Mapping):
        return None
    column = next((inner[key] for key in CLASSES if key in inner), None)
    names = getattr(getattr(column, "feature", column), "names", None)
    return list(names) if names else None
