"""Prompts: class names and attributes become a caption, and each class a set of the caption's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from glip_core.errors import InputError

SEPARATOR = ". "
_PART_KEYS = ("prefix", "name", "suffix")


class CharacterMap(Protocol):
    """Maps characters of a tokenized text to tokens."""

    def char_to_token(self, char_pos: int) -> int | None:
        """Index of the token that holds the character, None for white space."""
        ...


def clean_name(name: str) -> str:
    """A class name as it stands in a caption: no ``(...)``, ``_`` as space, double spaces halved once."""
    return re.sub(r"\(.*\)", "", name).replace("_", " ").replace("  ", " ")


@dataclass(frozen=True)
class Prompt:
    """A caption and where in it each class is named.

    Attributes:
        caption: the text that the language backbone reads.
        spans: one half-open character span per class; the tokens inside it stand for the class.
        names: the class names, for people.
        segments: per class the span of its name with its attributes, where the caption is a list of classes; they
            follow from the caption and play no part in comparisons.
    """

    caption: str
    spans: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    segments: tuple[tuple[int, int], ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.spans) != len(self.names):
            raise InputError(f"prompt: {len(self.spans)} spans for {len(self.names)} names; give one per class")
        for (start, end), name in zip(self.spans, self.names, strict=True):
            if not 0 <= start <= end <= len(self.caption):
                raise InputError(f"prompt: the span {(start, end)} of '{name}' lies outside the caption")
        try:
            self.caption.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"prompt: character {error.start + 1} of {self.caption!a} is half of a surrogate pair; type it again"
            ) from None

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_classes(cls, names: Iterable[str], *, separator: str = SEPARATOR) -> Prompt:
        """The plain prompt: cleaned class names in order, joined by ``". "``, without a final dot.

        Raises:
            InputError: no names were given.
        """
        names = list(names)
        cleaned = [{"name": clean_name(name)} for name in names]
        prompt = cls.from_parts(cleaned, separator=separator)
        return cls(prompt.caption, prompt.spans, tuple(names), prompt.segments)

    @classmethod
    def from_parts(
        cls, parts: Iterable[Mapping[str, str]], *, separator: str = SEPARATOR, order: Sequence[int] | None = None
    ) -> Prompt:
        """A prompt with attributes: ``prefix + name + suffix`` per class, of which only the name is the class.

        Args:
            parts: per class a mapping with ``name`` and optionally ``prefix`` and ``suffix``, taken as written.
            separator: what stands between two classes.
            order: positions of the parts in the order in which the caption names them; the classes keep the numbers
                of their parts. None: as given. A caption in another order cannot be split (:meth:`part`).

        Raises:
            InputError: no parts, an order that is none of them, an unknown key, or a part without a name.
        """
        listed = list(parts)
        taken = list(range(len(listed))) if order is None else list(order)
        if sorted(taken) != list(range(len(listed))):
            raise InputError(f"prompt: the order {taken} does not name each of {len(listed)} parts once")
        caption = ""
        spans, names, segments = [(0, 0)] * len(listed), [""] * len(listed), [(0, 0)] * len(listed)
        for place, number in enumerate(taken):
            part = listed[number]
            unknown = sorted(set(part) - set(_PART_KEYS))
            if unknown:
                raise InputError(f"prompt part {number}: unknown key '{unknown[0]}'; known: {', '.join(_PART_KEYS)}")
            name = part.get("name")
            if not isinstance(name, str) or name == "":
                raise InputError(f"prompt part {number}: 'name' is missing or empty")
            if place:
                caption += separator
            begin = len(caption)
            caption += part.get("prefix") or ""
            spans[number] = (len(caption), len(caption) + len(name))
            caption += name + (part.get("suffix") or "")
            names[number] = name
            segments[number] = (begin, len(caption))
        if not names:
            raise InputError("a prompt needs at least one class name")
        in_order = taken == sorted(taken)
        return cls(caption, tuple(spans), tuple(names), tuple(segments) if in_order else None)

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """A prompt from one line: classes separated by ``.`` or ``;``; what follows a comma is an attribute.

        ``"stingray, which is flat and round. fish"`` names the classes stingray and fish.

        Raises:
            InputError: no class is left.
        """
        parts = []
        for piece in text.replace(";", ".").split("."):
            name, comma, rest = piece.strip().partition(",")
            if name.strip():
                parts.append({"name": name.strip(), "suffix": comma + rest})
        if not parts:
            raise InputError(f"the prompt '{text[:60]}' names no class; write for example \"fish. stingray\"")
        return cls.from_parts(parts)

    @classmethod
    def of(cls, wanted: Prompt | str | Iterable[str]) -> Prompt:
        """What people write for a prompt: one as it is, a line (:meth:`parse`), or class names.

        Raises:
            InputError: no class is named.
        """
        if isinstance(wanted, Prompt):
            return wanted
        return cls.parse(wanted) if isinstance(wanted, str) else cls.from_classes(wanted)

    @classmethod
    def from_caption(cls, caption: str, spans: Iterable[tuple[int, int]]) -> Prompt:
        """A free sentence whose phrases, given by character spans, are the classes (grounding)."""
        spans = tuple(spans)
        return cls(caption, spans, tuple(caption[start:end] for start, end in spans))

    def part(self, first: int, last: int) -> Prompt:
        """The prompt of classes ``first`` to ``last`` (not included) alone, attributes and separators as they are.

        Raises:
            InputError: the caption is a sentence, not a list of classes.
        """
        if self.segments is None:
            raise InputError(f"a sentence cannot be split into classes: '{self.caption[:60]}'")
        begin, end = self.segments[first][0], self.segments[last - 1][1]

        def shifted(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            return tuple((a - begin, b - begin) for a, b in spans[first:last])

        return Prompt(self.caption[begin:end], shifted(self.spans), self.names[first:last], shifted(self.segments))

    def token_map(self, characters: CharacterMap) -> list[list[int]]:
        """The tokens of each class, [CLS] being token 0.

        Where the first (last) character of a span belongs to no token, such as a space, one of the two characters
        after (before) it is used instead; a class whose span meets no token has no tokens and is never detected.
        """
        return [self._tokens_of(characters, start, end) for start, end in self.spans]

    def _tokens_of(self, characters: CharacterMap, start: int, end: int) -> list[int]:
        first = _first_token(characters, (start, start + 1, start + 2), len(self.caption))
        last = _first_token(characters, (end - 1, end - 2, end - 3), len(self.caption))
        if first is None or last is None:
            return []
        return list(range(first, last + 1))


def _first_token(characters: CharacterMap, positions: tuple[int, ...], length: int) -> int | None:
    for position in positions:
        if 0 <= position < length:
            token = characters.char_to_token(position)
            if token is not None:
                return token
    return None
