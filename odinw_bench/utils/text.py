"""Values and names as text: shortened for messages, made safe for files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

MAX_SLUG = 100
"""File systems take names of 255 bytes; several of these may make one."""


def shorten(value: Any, length: int = 60) -> str:
    """A value as an error message shows it: on one line, not longer than ``length`` characters.

    No more of it is looked at: a small file may stand for a value that no memory holds.
    """
    text = ""
    for piece in _pieces(value, length):
        text += piece
        if len(text) > length:
            return text[: length - 3] + "..."
    return text


def _pieces(value: Any, length: int) -> Iterator[str]:
    """The parts of a value's ``repr``, in order, as far as they can be within ``length`` characters."""
    if type(value) in (str, bytes):
        yield repr(value[: length + 1])
    elif type(value) in (list, tuple):
        yield "[" if type(value) is list else "("
        for place, item in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(item, length)
        yield "]" if type(value) is list else ",)" if len(value) == 1 else ")"
    elif type(value) is dict:
        yield "{"
        for place, (key, item) in enumerate(value.items()):
            yield ", " if place else ""
            yield from _pieces(key, length)
            yield ": "
            yield from _pieces(item, length)
        yield "}"
    elif type(value) is int and value.bit_length() > 4 * length:  # Python writes out no number of thousands of digits
        yield hex(value)
    else:
        yield repr(value)


def shorten_text(text: str, length: int = 200) -> str:
    """A text on one line, not longer than ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."


def is_text(value: Any) -> bool:
    """Whether a value is a text that can be written: JSON may hold halves of characters."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def slug(text: str, *, unique: bool = False) -> str:
    """A text as a name that is safe in files, links and shells: lower-case letters, digits and single hyphens.

    Args:
        text: any text; one without letters and digits of ASCII becomes an empty name.
        unique: append a hash where the text had to be changed, so that different texts never get the same name.

    Returns:
        at most :data:`MAX_SLUG` characters, and nine for the hash.
    """
    whole = "-".join(re.findall(r"[a-z0-9]+", text.lower()))
    kept = whole[:MAX_SLUG].rstrip("-")
    if not unique or kept == text:
        return kept
    return f"{kept}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def duration(seconds: float) -> str:
    """A time span to two figures at most, such as ``0.4 s``, ``12 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def counted(number: int, what: str) -> str:
    """A number of things: ``1 task``, ``2 tasks``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
