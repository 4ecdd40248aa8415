"""Flickr30k Entities: sentences about photos, from MDETR's annotation files or the raw ones."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.coco import load_picture
from odinw_bench.datasets.entities import EntitiesImage, read_entities
from odinw_bench.datasets.mdetr import ARCHIVE, Entry, read_mdetr
from odinw_bench.datasets.sentences import Sentence, SentenceSplit, TruePhrase
from odinw_bench.datasets.suites.places import first_file, picture_folder, relative_place
from odinw_bench.datasets.task import Source, SplitPaths, Task
from odinw_bench.utils.io import canonical_json, sha256_bytes

NAME = "flickr30k"
_RAW = ("flickr30k/flickr30k", "flickr30k", "flickr30k_entities", "flickr30k/flickr30k_entities", ".")
_FILES = ("mdetr_annotations/{}", "flickr30k/{}", "flickr30k/mdetr_annotations/{}", "{}")
_PICTURES = ("flickr30k/flickr30k_images/{}", "flickr30k/flickr30k_images", "flickr30k_images/{}", "flickr30k_images")
_REMEDY = (
    "Flickr30k's photos are given out on request only, for research and teaching: fill in the form at "
    "https://shannon.cs.illinois.edu/DenotationGraph/ and put them into flickr30k/flickr30k_images/"
)


def tasks() -> list[Task]:
    """The one task of the suite."""
    splits = {
        name: SplitPaths(f"mdetr_annotations/{_file(name)}", _PICTURES[0].format(name), 1000)
        for name in ("val", "test")
    }
    return [
        Task(
            name=NAME,
            title="Flickr30k Entities",
            suite=NAME,
            classes=(),
            splits=splits,
            eval_split="val",
            aliases=("flickr", "flickr30k-entities"),
            source=Source("official", page="https://bryanplummer.com/Flickr30kEntities/", format=NAME),
            notes=(_REMEDY, f"phrases and boxes: {ARCHIVE}, or the raw files of Flickr30k Entities"),
            evaluation="flickr",
        )
    ]


def open_split(task: Task, split: str, root: Path) -> SentenceSplit:
    """Open a split.

    The raw files count where they are there: they say the types of phrases, and the official evaluator reads them.

    Args:
        task: of :func:`tasks`.
        split: ``val`` or ``test``.
        root: the data root.

    Raises:
        InputError: neither form of the annotations is there, one cannot be read, or the photos are missing.
    """
    raw = _raw(root, split)
    if raw is not None:
        return _from_entities(task, read_entities(raw, split), root, split)
    path = _mdetr(root, split)
    if path is None:
        raise InputError(
            f"Flickr30k Entities not found in '{root}': it needs mdetr_annotations/{_file(split)} ({ARCHIVE}), or the "
            f"raw files flickr30k/flickr30k/{split}.txt, Annotations/ and Sentences/"
        )
    return _from_mdetr(task, path, root, split)


def place_of(task: Task, split: str, root: Path) -> SplitPaths | None:
    """Where a split lies, in whichever form; None: it is not here."""
    raw = _raw(root, split)
    found = _mdetr(root, split) if raw is None else raw / f"{split}.txt"
    return relative_place(root, found, [place.format(split) for place in _PICTURES], task.splits[split])


def _raw(root: Path, split: str) -> Path | None:
    """The folder of the raw files."""
    return next((root / one for one in _RAW if _is_raw(root / one, split)), None)


def _mdetr(root: Path, split: str) -> Path | None:
    """MDETR's file."""
    return first_file(root, [place.format(_file(split)) for place in _FILES])


def _file(split: str) -> str:
    return f"final_flickr_separateGT_{split}.json"


def _is_raw(folder: Path, split: str) -> bool:
    return (folder / f"{split}.txt").is_file() and (folder / "Sentences").is_dir()


def _from_entities(task: Task, found: dict[int, EntitiesImage], root: Path, split: str) -> SentenceSplit:
    names = {number: Path(image.file_name).name or f"{number}.jpg" for number, image in found.items()}
    folder = _pictures(root, split, next(iter(names.values()), "no image is listed"))
    images: list[dict[str, Any]] = []
    sentences = {}
    for number, image in found.items():
        size = image.size or _size(folder / names[number])
        images.append({"id": number, "file_name": names[number], "width": size[0], "height": size[1]})
        listed = [
            Sentence(place, sentence.text, _phrases(image, place)) for place, sentence in enumerate(image.sentences)
        ]
        sentences[number] = [one for one in listed if one.phrases]
    content = [[number, [[one.text, _plain(one)] for one in listed]] for number, listed in sentences.items()]
    return SentenceSplit(
        images,
        sentences,
        functools.partial(load_picture, folder.absolute()),
        sha256=sha256_bytes(canonical_json(content)),
        notes=[f"{task.title}: phrases, types and boxes of the raw files"],
        folder=folder,
    )


def _phrases(image: EntitiesImage, place: int) -> tuple[TruePhrase, ...]:
    words = image.sentences[place].text.split(" ")
    phrases = []
    for phrase in image.grounded(place):
        start = len(" ".join([*words[: phrase.first_word], ""]))
        phrases.append(TruePhrase(((start, start + len(phrase.text)),), image.boxes[phrase.entity], phrase.types))
    return tuple(phrases)


def _plain(sentence: Sentence) -> list[Any]:
    return [[phrase.spans, phrase.boxes, phrase.types] for phrase in sentence.phrases]


def _from_mdetr(task: Task, path: Path, root: Path, split: str) -> SentenceSplit:
    entries, sha256 = read_mdetr(path, "original_img_id")
    folder = _pictures(root, split, entries[0].image["file_name"])
    images = {entry.image["id"]: entry.image for entry in entries}
    sentences: dict[int, list[Sentence]] = defaultdict(list)
    for entry in entries:
        phrases = _tested(entry, path)
        if phrases and entry.sentence_number is not None:
            sentences[entry.image["id"]].append(Sentence(entry.sentence_number, entry.text, phrases))
    return SentenceSplit(
        list(images.values()),
        sentences,
        functools.partial(load_picture, folder.absolute()),
        sha256=sha256,
        notes=[
            f"{task.title}: phrases and boxes of MDETR's file, which has no types and one box for those of an image "
            "that overlap by 0.95 or more"
        ],
        folder=folder,
    )


def _tested(entry: Entry, path: Path) -> tuple[TruePhrase, ...]:
    if entry.phrases is None or entry.sentence_number is None:
        raise InputError(
            f"'{path}': sentence {entry.number} has no tokens_positive_eval or no sentence_id: a file such as "
            f"{_file('test')} is wanted"
        )
    phrases = [
        TruePhrase(spans, tuple(box for box, words in entry.boxes if set(words) & set(spans)))
        for spans in entry.phrases
    ]
    return tuple(phrase for phrase in phrases if phrase.boxes)


def _pictures(root: Path, split: str, example: str) -> Path:
    return picture_folder(root, [place.format(split) for place in _PICTURES], example, remedy=_REMEDY)


def _size(path: Path) -> tuple[int, int]:
    from glip_core.images import load_image

    return load_image(path).size
