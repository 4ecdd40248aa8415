"""The miniature suite for other programs and for the eye: COCO folders, and a contact sheet."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw, ImageFont

from glip_core.errors import InputError
from odinw_bench.mini.recipes import SPLITS, Recipe, load_recipe, task_names
from odinw_bench.mini.suite import render_split
from odinw_bench.utils.io import json_bytes, sha256_bytes, write_bytes
from odinw_bench.utils.scratch import clear_scratch

FOLDERS = {"train": "train", "val": "valid", "test": "test"}
ANNOTATIONS = "annotations_without_background.json"
RENDERED = ".rendered.txt"
"""Hashes of what was written into a task's folder: what may be written over."""

_INKS = ("#19e05a", "#ff4fd8", "#ffe14d", "#33c9ff", "#ff7a1a", "#b98cff", "#ffffff")
_MOST_LABELS = 5  # with more boxes than this, their names would hide the picture


def write_suite(
    out: Path, tasks: Sequence[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Write tasks as ordinary COCO folders, ``<out>/<task>/{train,valid,test}/``, with the embedded suite's pixels.

    Beside the splits lies a ``task.yaml`` with the title and the prompt's attributes, so that every mode gives the
    same numbers from the folder as from the embedded task.

    Args:
        out: where to.
        tasks: which ones; by default all.
        progress: called with the folder of every finished split.

    Returns:
        The annotation files. A split's file is written after its pictures, and an older one that says something
        else is removed before them, so a folder that has one is whole. What was finished before a kill stays so.

    Raises:
        InputError: no such task, the folder cannot be written to, or a file is in the way that this did not write.
    """
    recipes = [load_recipe(name) for name in (task_names() if tasks is None else tasks)]
    written = []
    try:
        for recipe in recipes:
            ours = _OwnFiles(out / recipe.name)
            for split in SPLITS:
                folder = out / recipe.name / FOLDERS[split]
                annotations, draw = render_split(recipe.name, split)
                path, content = folder / ANNOTATIONS, json_bytes(annotations, indent=None)
                pictures = [folder / image["file_name"] for image in annotations["images"]]
                ours.remove_unless_whole(path, content, pictures)
                for image in annotations["images"]:
                    ours.write(folder / image["file_name"], _png(draw(image["file_name"])))
                ours.write(path, content)
                clear_scratch(folder)
                written.append(path)
                if progress:
                    progress(str(folder))
            ours.write(out / recipe.name / "task.yaml", _task_file(recipe).encode())
            ours.remember()
            clear_scratch(out / recipe.name)
    except OSError as error:
        raise InputError(f"the miniature cannot be written to '{out}': {error}") from error
    return written


class _OwnFiles:
    """Writes the files of a task's folder, but never over those of others.

    A file is taken for one of this program's if it is what would be written now, or what the list of an earlier
    rendering, which another version may have made, says of it.

    Args:
        folder: of the task.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.earlier: set[str] = set()
        self.hashes: list[str] = []
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is none
            self.earlier.update((folder / RENDERED).read_text(encoding="ascii").split())

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, unless it is there.

        Raises:
            InputError: another file is in its place.
        """
        self.hashes.append(sha256_bytes(content))
        if not self._is_there(path, content):
            write_bytes(path, content)

    def remove_unless_whole(self, path: Path, content: bytes, pictures: Sequence[Path]) -> None:
        """Remove annotations, unless they hold this content already and all of their pictures are there.

        Raises:
            InputError: another file is in its place.
        """
        if not (self._is_there(path, content) and all(picture.is_file() for picture in pictures)):
            path.unlink(missing_ok=True)

    def remember(self) -> None:
        """Write the list for later renderings."""
        write_bytes(self.folder / RENDERED, "".join(f"{one}\n" for one in self.hashes).encode())

    def _is_there(self, path: Path, content: bytes) -> bool:
        if not path.is_symlink() and not path.exists():
            return False
        found = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if found == content:
            return True
        if found is None or sha256_bytes(found) not in self.earlier:
            raise InputError(f"'{path}' is there and was not written by this command; give another folder with --out")
        return False


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=1)
    return out.getvalue()


def _task_file(recipe: Recipe) -> str:
    task = {
        "name": recipe.name,
        "title": recipe.title,
        "licence": "Apache-2.0",
        "classes": [{"id": i, "name": c.name, "manual": dict(c.manual)} for i, c in enumerate(recipe.classes, start=1)],
        "splits": {
            split: {
                "annotations": f"{FOLDERS[split]}/{ANNOTATIONS}",
                "images": FOLDERS[split],
                "count": recipe.images[split],
            }
            for split in SPLITS
        },
        "eval_split": "val",
        "notes": ["Drawn by odinw-bench, not photographed; its numbers say nothing about the real data set."],
    }
    return yaml.safe_dump(task, sort_keys=False, allow_unicode=True, width=110)


def contact_sheet(tasks: Sequence[str] | None = None, columns: int = 7, *, split: str = "train") -> Image.Image:
    """A picture of some scenes of each task with their boxes: a row a task, a colour a class.

    Args:
        tasks: which ones; by default all.
        columns: width of the sheet, in square scenes; wider scenes are fewer in a row.
        split: whose first scenes are shown.

    Returns:
        An RGB picture. A star marks names that pre-training never shows.

    Raises:
        InputError: no such task or split, or no column.
    """
    if columns < 1:
        raise InputError(f"a contact sheet needs at least one column, not {columns}")
    recipes = [load_recipe(name) for name in (task_names() if tasks is None else tasks)]
    high, caption, gap = 190, 24, 6
    sheet = Image.new("RGB", (columns * (high + gap) + gap, len(recipes) * (high + caption + gap)), "#23262b")
    pen = ImageDraw.Draw(sheet)
    for row, recipe in enumerate(recipes):
        annotations, draw = render_split(recipe.name, split)
        top = row * (high + caption + gap)
        _legend(pen, recipe, gap, top + 3, sheet.width)
        wide = round(high * recipe.size[0] / recipe.size[1])
        for column, image in enumerate(annotations["images"][: max((sheet.width - gap) // (wide + gap), 1)]):
            picture = draw(image["file_name"]).resize((wide, high), Image.Resampling.LANCZOS)
            _boxes(picture, recipe, [box for box in annotations["annotations"] if box["image_id"] == image["id"]])
            sheet.paste(picture, (gap + column * (wide + gap), top + caption))
    return sheet


def _ink(index: int) -> str:
    return _INKS[index % len(_INKS)]


def _legend(pen: ImageDraw.ImageDraw, recipe: Recipe, x: float, y: float, width: int) -> None:
    """The title and the classes in their colours, in a smaller type where there are many."""
    names = [c.name if c.seen else f"{c.name}*" for c in recipe.classes]
    sizes = (15, 13, 11, 9)
    fonts = [ImageFont.load_default(size) for size in sizes]
    texts = [f"{recipe.title}   ", *(f"{name}  " for name in names)]
    font = next((f for f in fonts if sum(pen.textlength(t, f) for t in texts) < width - 2 * x), fonts[-1])
    for i, text in enumerate(texts):
        pen.text((x, y), text, fill="white" if i == 0 else _ink(i - 1), font=font)
        x += pen.textlength(text, font)


def _boxes(picture: Image.Image, recipe: Recipe, boxes: Sequence[dict[str, Any]]) -> None:
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    scale = picture.width / recipe.size[0]
    for box in boxes:
        label = box["category_id"] - 1
        x, y, w, h = (scale * v for v in box["bbox"])
        pen.rectangle((x, y, x + w - 1, y + h - 1), outline=_ink(label))
        if len(boxes) <= _MOST_LABELS:
            left, upper, right, lower = pen.textbbox((0, 0), recipe.classes[label].name, font)
            x = min(x, picture.width - right - 2)
            y = y - lower - 2 if y > lower + 2 else y + h  # above the box, or below it at the picture's edge
            pen.rectangle((x + left, y + upper, x + right + 2, y + lower + 1), fill="#23262b")
            pen.text((x + 1, y), recipe.classes[label].name, fill=_ink(label), font=font)
