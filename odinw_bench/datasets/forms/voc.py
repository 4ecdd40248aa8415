"""Pascal VOC: an XML file a picture.

Read here rather than by ``supervision``'s loader, which decodes every picture and does not know ``ImageSets``; the XML
itself is parsed by ``defusedxml``, which refuses entities that expand without end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, is_number
from odinw_bench.datasets.forms.base import (
    WHOLE,
    Form,
    as_coco,
    beginning,
    join,
    list_pictures,
    named_classes,
    split_folders,
    split_of,
    subfolder,
    text_lines,
)
from odinw_bench.datasets.task import SplitPaths, TaskClass
from odinw_bench.utils.io import read_bytes
from odinw_bench.utils.text import is_text, shorten

MAX_XML_BYTES = 16 << 20
PICTURES = ("JPEGImages", "images", "imgs", "pictures")


@dataclass(frozen=True)
class _Entry:
    """What an XML file says; boxes are (name of the class, x, y, width, height)."""

    picture: str
    size: tuple[int, int] | None
    boxes: tuple[tuple[str, float, float, float, float], ...]
    difficult: int


class Voc(Form):
    """With ``ImageSets/Main`` as the challenge had it, or flat as Roboflow and labelling tools write it."""

    name = "voc"
    layout = "Pascal VOC (Annotations/*.xml, JPEGImages/, ImageSets/Main/train.txt; an .xml beside each picture)"

    def splits(self, folder: Path) -> dict[str, SplitPaths]:
        """By the lists in ``ImageSets/Main``, the folders of splits, or none."""
        inner = subfolder(folder, "Annotations", "xmls", "labels")
        parts = split_folders(folder / inner) if inner is not None else {}
        if inner is not None and any(_has_xml(folder / inner / place) for place in (".", *parts.values())):
            images = next((place for name in PICTURES if (place := subfolder(folder, name))), inner)
            lists = folder / "ImageSets" / "Main"
            stated: dict[str, SplitPaths] = {}
            for path in sorted(lists.glob("*.txt")) if lists.is_dir() else []:
                split = split_of(path.stem)
                if split is not None and path.stat().st_size:
                    stated.setdefault(split, SplitPaths(path.relative_to(folder).as_posix(), images))
            if stated:
                return stated
            if parts:
                return {
                    split: SplitPaths(join(inner, place), _beside(folder, images, place))
                    for split, place in parts.items()
                }
            return {WHOLE: SplitPaths(inner, images)}
        found = {}
        for split, place in split_folders(folder).items():
            deeper = subfolder(folder / place, "Annotations")
            if deeper is not None and _has_xml(folder / place / deeper):
                images = next((one for name in PICTURES if (one := subfolder(folder / place, name))), deeper)
                found[split] = SplitPaths(join(place, deeper), join(place, images))
            elif _has_xml(folder / place):
                found[split] = SplitPaths(place, place)
        if found:
            return found
        return {WHOLE: SplitPaths(".", ".")} if _has_xml(folder) else {}

    def classes(self, folder: Path, splits: Mapping[str, SplitPaths]) -> tuple[TaskClass, ...]:
        """The names in all files, sorted: VOC has no list of them."""
        names = {box[0] for paths in splits.values() for entry in _entries(folder, paths) for box in entry.boxes}
        if not names:
            raise InputError(f"no XML file in '{folder}' has an <object>")
        return named_classes(sorted(names))

    def read(self, folder: Path, paths: SplitPaths, classes: Sequence[TaskClass]) -> Annotations:
        """Boxes, ``difficult`` ones among them."""
        label = {entry.name: index for index, entry in enumerate(classes)}
        pictures = []
        difficult = 0
        for entry in _entries(folder, paths):
            for name, *_ in entry.boxes:
                if name not in label:
                    raise InputError(
                        f"'{folder / paths.annotations}': class {shorten(name)} of '{entry.picture}' is none of the "
                        f"task's: {shorten(sorted(label), 200)}"
                    )
            boxes = [(label[name], x, y, width, height) for name, x, y, width, height in entry.boxes]
            pictures.append((entry.picture, entry.size, boxes))
            difficult += entry.difficult
        notes = [f"{difficult} boxes are marked as difficult; they count like all others"] if difficult else []
        return as_coco(folder / paths.images, pictures, classes, notes)


def read_xml(path: Path) -> tuple[Any, str]:
    """The root of a VOC file, and the file name it states.

    Raises:
        InputError: it is no XML, or not VOC's.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    data = read_bytes(path, what="VOC annotation", limit=MAX_XML_BYTES)
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"VOC annotation '{path}' cannot be read: {' '.join(str(error).split())}") from error
    if root.tag != "annotation":
        raise InputError(f"VOC annotation '{path}' must be an <annotation>, not <{root.tag}>")
    return root, (root.findtext("filename") or "").strip()


def _entries(folder: Path, paths: SplitPaths) -> list[_Entry]:
    """All pictures of a split, sorted by the names of their XML files, or in the order of the list.

    Raises:
        InputError: a file is unusable, or two are about one picture.
    """
    place = folder / paths.annotations
    listed = place.is_file()
    if listed:
        inner = folder / (subfolder(folder, "Annotations", "xmls", "labels") or "Annotations")
        files = list(dict.fromkeys(_listed(inner, line) for line in text_lines(place, what="list of pictures")))
    else:
        files = sorted(place.glob("*.xml"))
    pictures = folder / paths.images
    known = {name: name for name in list_pictures(pictures)}
    by_stem = {Path(name).stem: name for name in reversed(known)}
    entries = [_entry(path, known, by_stem, own_name=listed) for path in files]
    first: dict[str, Path] = {}
    for path, entry in zip(files, entries, strict=True):
        if first.setdefault(entry.picture, path) != path:
            raise InputError(
                f"VOC annotations '{first[entry.picture]}' and '{path}' are both of the picture '{entry.picture}': "
                "correct <filename> in one of them"
            )
    return entries


def _listed(folder: Path, line: str) -> Path:
    """The XML file of a line in a list: a name, with or without an ending, and in some lists 1 or -1 after it."""
    names = [Path(line).name, Path(line.rpartition(" ")[0].strip()).name]
    options = [folder / f"{name}.xml" for name in names] + [folder / f"{Path(name).stem}.xml" for name in names]
    return next((path for path in options if path.is_file()), options[0])


def _entry(path: Path, known: Mapping[str, str], by_stem: Mapping[str, str], *, own_name: bool) -> _Entry:
    """What a file says. With ``own_name`` the picture called like it goes before the one it states."""
    root, stated = read_xml(path)
    stated = Path(stated.replace("\\", "/")).name
    of_its_name = by_stem.get(path.stem)
    if of_its_name is not None and own_name and Path(stated).stem != path.stem:
        stated = of_its_name
    picture = known.get(stated) or of_its_name or by_stem.get(Path(stated).stem) or stated
    if not picture:
        raise InputError(f"VOC annotation '{path}' names no picture, and none is called '{path.stem}'")
    width, height = (_number(root.findtext(f"size/{side}"), f"{path}: size") for side in ("width", "height"))
    one_based = "VOC20" in (root.findtext("source/database") or "")  # the challenge counted pixels from 1, tools do not
    boxes = []
    difficult = 0
    for item in root.findall("object"):
        name = (item.findtext("name") or "").strip()
        if not is_text(name) or not name:
            raise InputError(f"VOC annotation '{path}' has an <object> without <name>")
        place = f"VOC annotation '{path}': <bndbox> of {shorten(name)}"
        corners = [_number(item.findtext(f"bndbox/{side}"), place) for side in ("xmin", "ymin", "xmax", "ymax")]
        if any(corner is None for corner in corners):
            raise InputError(f"{place} must have xmin, ymin, xmax and ymax")
        left, top, right, bottom = (corner or 0.0 for corner in corners)
        if right < left or bottom < top:
            raise InputError(f"{place} ends before it begins: {left:g}, {top:g}, {right:g}, {bottom:g}")
        left, top = left - one_based, top - one_based
        boxes.append((name, left, top, right - left, bottom - top))
        difficult += (item.findtext("difficult") or "").strip() == "1"
    size = (int(width), int(height)) if width and height and min(width, height) >= 1 else None
    return _Entry(picture, size, tuple(boxes), difficult)


def _number(text: str | None, where: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not is_number(value):
        raise InputError(f"{where} must be a number, not {shorten(text)}")
    return value


def _has_xml(folder: Path) -> bool:
    """Whether XML files in it begin like VOC's."""
    return any(b"<annotation" in beginning(path) for path in sorted(folder.glob("*.xml"))[:3] if path.is_file())


def _beside(folder: Path, images: str, place: str) -> str:
    inner = join(images, place)
    return inner if (folder / inner).is_dir() else images
