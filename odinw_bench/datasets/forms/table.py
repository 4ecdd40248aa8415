"""The forms of data sets that are understood, in the order in which they are tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glip_core.errors import InputError, nearest
from odinw_bench.datasets.forms.base import Form
from odinw_bench.datasets.forms.coco import Coco, is_coco_file
from odinw_bench.datasets.forms.hf_disk import SavedDataset
from odinw_bench.datasets.forms.imagefolder import ImageFolder
from odinw_bench.datasets.forms.voc import Voc
from odinw_bench.datasets.forms.yolo import Yolo
from odinw_bench.datasets.headers import SUFFIXES
from odinw_bench.datasets.task import SplitPaths
from odinw_bench.utils.text import shorten

FORMS: Sequence[Form] = (Coco(), Yolo(), Voc(), ImageFolder(), SavedDataset())


def find_form(name: str) -> Form:
    """A form by its name.

    Raises:
        InputError: there is none.
    """
    for form in FORMS:
        if form.name == name:
            return form
    names = [form.name for form in FORMS]
    raise InputError(f"unknown form {shorten(name)}; there are {', '.join(names)}{nearest(name, names)}")


def recognise(folder: Path) -> tuple[Form, dict[str, SplitPaths]] | None:
    """The form that a folder is in, and its splits; None: in none."""
    for form in FORMS:
        splits = form.splits(folder)
        if splits:
            return form, splits
    return None


def what_is_there(folder: Path) -> str:
    """What a folder holds, in a few words, for the message that it is in no form."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        return f"it cannot be listed: {error.strerror}"
    folders = [path.name for path in entries if path.is_dir()]
    files = [path for path in entries if not path.is_dir()]
    endings = Counter("pictures" if path.suffix.lower() in SUFFIXES else path.suffix or "other files" for path in files)
    parts = [f"{count} {ending}" for ending, count in endings.most_common(5)]
    strange = [path.name for path in files if path.suffix.lower() == ".json" and not is_coco_file(path)]
    if strange:
        parts.append(f"{shorten(strange[0])} is not COCO (no 'images')")
    if folders:
        parts.append(f"folders {', '.join(folders[:6])}{' ...' if len(folders) > 6 else ''}")
    return f"it holds {', '.join(parts)}" if parts else "it is empty"


def layouts() -> str:
    """What would be understood, in words."""
    return ", ".join(form.layout for form in FORMS)
