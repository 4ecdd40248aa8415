"""Flickr30k Entities: which phrases of which sentence mean which boxes (Plummer et al. 2015), from its raw files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from glip_core.errors import InputError

_OPENS = "[/EN#"
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Phrase:
    """A marked phrase of a sentence.

    Attributes:
        text: its words.
        first_word: position of its first word in the sentence.
        entity: id of what it means; ``"0"`` for what cannot be seen.
        types: such as ``people``; one phrase may have several.
    """

    text: str
    first_word: int
    entity: str
    types: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """A caption.

    Attributes:
        text: without the marks.
        phrases: in their order.
    """

    text: str
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class EntitiesImage:
    """An image's captions and boxes.

    Attributes:
        sentences: mostly five.
        boxes: by entity: corners x1, y1, x2, y2 in pixels; entities without a box are absent.
        file_name: of the picture, as the annotations state it.
        size: (width, height) likewise; None: they do not.
    """

    sentences: tuple[Sentence, ...]
    boxes: Mapping[str, tuple[Box, ...]]
    file_name: str = ""
    size: tuple[int, int] | None = None

    def grounded(self, sentence: int) -> list[Phrase]:
        """The phrases of a sentence that have a box: those that are evaluated."""
        return [phrase for phrase in self.sentences[sentence].phrases if phrase.entity in self.boxes]


def read_entities(root: Path | str, subset: str) -> dict[int, EntitiesImage]:
    """Read a subset of Flickr30k Entities.

    Args:
        root: the folder that holds ``SUBSET.txt``, ``Annotations/ID.xml`` and ``Sentences/ID.txt``.
        subset: ``train``, ``val`` or ``test``.

    Returns:
        by image id, in the order of the subset's file.

    Raises:
        InputError: a file is missing or is not of that form.
    """
    root = Path(root)
    names = _text(root / f"{subset}.txt").split()
    if not all(name.isdecimal() for name in names):
        raise InputError(f"'{root / f'{subset}.txt'}' must hold image ids, one a line")
    return {
        int(name): EntitiesImage(
            sentences=tuple(map(parse_sentence, _lines(root / "Sentences" / f"{name}.txt"))),
            **_annotated(root / "Annotations" / f"{name}.xml"),
        )
        for name in names
    }


def parse_sentence(line: str) -> Sentence:
    """A line of a ``Sentences`` file: ``[/EN#ID/TYPE[/TYPE...] words of a phrase] other words``.

    A word that ends with ``]`` closes a phrase.

    Raises:
        InputError: a mark without id or type.
    """
    words: list[str] = []
    phrases: list[Phrase] = []
    start = 0
    opened: tuple[str, tuple[str, ...]] | None = None
    for token in line.split():
        if token.startswith(_OPENS):
            entity, *types = token[len(_OPENS) :].split("/")
            if not entity or not types:
                raise InputError(f"'{token[:40]}' is no mark of Flickr30k Entities: [/EN#ID/TYPE wanted")
            opened, start = (entity, tuple(types)), len(words)
            continue
        closes = opened is not None and token.endswith("]")
        words.append(token[:-1] if closes else token)
        if closes and opened is not None:
            phrases.append(Phrase(" ".join(words[start:]), start, *opened))
            opened = None
    return Sentence(" ".join(words), tuple(phrases))


def _annotated(path: Path) -> dict[str, Any]:
    """The fields of :class:`EntitiesImage` that the XML gives; each object's box belongs to every one of its names."""
    found: dict[str, list[Box]] = defaultdict(list)
    try:
        tree = ElementTree.fromstring(_text(path))
        width, height = tree.findtext("size/width"), tree.findtext("size/height")
        size = None if width is None or height is None else (int(width), int(height))
        for entry in tree.findall("object"):
            box = entry.find("bndbox")
            if box is None:
                continue
            x1, y1, x2, y2 = (int(box.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax"))
            for name in entry.findall("name"):
                found[name.text or ""].append((x1, y1, x2, y2))
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"'{path}' is no annotation file of Flickr30k Entities: {error}") from error
    boxes = {entity: tuple(listed) for entity, listed in found.items()}
    return {"boxes": boxes, "file_name": tree.findtext("filename", f"{path.stem}.jpg"), "size": size}


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"'{path}' not found; Flickr30k Entities has SUBSET.txt, Annotations/ and Sentences/ in one folder"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error
