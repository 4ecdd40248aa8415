"""The drawn counterparts of Flickr30k Entities and of the referring expressions."""

from __future__ import annotations

from typing import Any

from odinw_bench.datasets.sentences import Sentence, SentenceSplit, TruePhrase
from odinw_bench.datasets.task import Source, SplitPaths, Task
from odinw_bench.utils.io import canonical_json, sha256_bytes

_EVALUATIONS = {"mini-flickr": "flickr", "mini-refexp": "refexp"}
_TITLES = {"mini-flickr": "Drawn scenes and sentences", "mini-refexp": "Drawn scenes and referring expressions"}


def tasks(name: str) -> list[Task]:
    """The one task of a suite."""
    from odinw_bench.mini.sentences import IMAGES  # numpy and drawing: only when it is asked for

    return [
        Task(
            name=name,
            title=_TITLES[name],
            suite=name,
            classes=(),
            splits={split: SplitPaths("", "", count) for split, count in IMAGES.items()},
            eval_split="val",
            licence="Apache-2.0",
            source=Source("miniature"),
            evaluation=_EVALUATIONS[name],
        )
    ]


def mini_flickr() -> list[Task]:
    """The suite ``mini-flickr``."""
    return tasks("mini-flickr")


def mini_refexp() -> list[Task]:
    """The suite ``mini-refexp``."""
    return tasks("mini-refexp")


def open_split(task: Task, split: str) -> SentenceSplit:
    """Draw a split.

    Raises:
        InputError: there is no such split.
    """
    from odinw_bench.mini.sentences import render_sentences

    pictures, load = render_sentences(task.suite, split)
    images: list[dict[str, Any]] = []
    sentences: dict[int, list[Sentence]] = {}
    number = 0
    for index, picture in enumerate(pictures, start=1):
        width, height = picture.image.size
        images.append({"id": index, "file_name": picture.file_name, "width": width, "height": height})
        sentences[index] = []
        for place, said in enumerate(picture.sentences):
            phrases = tuple(TruePhrase((one.span,), one.boxes, one.types) for one in said.phrases)
            unique = task.evaluation == "refexp"  # expressions are numbered through, sentences by picture
            sentences[index].append(Sentence(number if unique else place, said.text, phrases))
            number += 1
    content = [
        [key, [[one.text, [[p.spans, p.boxes, p.types] for p in one.phrases]] for one in listed]]
        for key, listed in sentences.items()
    ]
    return SentenceSplit(images, sentences, load, sha256=sha256_bytes(canonical_json(content)))
