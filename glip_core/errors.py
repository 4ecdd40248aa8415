"""The one exception for input that cannot be used, and what its messages say about unknown names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the offending file, field or value and says what to do about it;
    the command line prints it as it is and exits with code 2. Passwords in addresses are left out of it.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(without_passwords(str(message)))


_SECRET = r"[\w-]*(?:passw|pwd|secret|token|api[_-]?key|apikey|signature|credential)[\w-]*"
_PAIRS = re.compile(rf"(?i)(\b{_SECRET}=)(?:'[^']*'|[^\s&;'\"]+)")
_ACCOUNT = re.compile(r"(\b[a-zA-Z][\w+.-]+(?::/{1,3}|//|:(?=[^\s/'\"]*:)))[^\s'\"]*@")
_PORT = re.compile(r"(://(?:\*{3}@)?[^\s/:@'\"]+):(?!\d+(?:[/?#\s'\",;)]|$))[^\s/?#'\"]+")


def without_passwords(text: str) -> str:
    """Text whose addresses have ``***`` in place of accounts, passwords, tokens and ports that are no numbers.

    Args:
        text: any text; ``scheme://user:password@host``, ``?password=...`` and their mistyped forms are found in it.
    """
    if ":" not in text and "=" not in text and "//" not in text:
        return text
    text = _PAIRS.sub(r"\1***", text)
    text = _ACCOUNT.sub(r"\1***@", text)
    return _PORT.sub(r"\1:***", text)


def nearest(name: str, known: Iterable[str], *, also: Iterable[str] = ()) -> str:
    """The end of a message about an unknown name: the most similar known name, if any is similar, and all of them.

    Args:
        name: the unknown name.
        known: the names that the message lists.
        also: further names that may be meant but are not listed, such as aliases.
    """
    names = list(known)
    close = difflib.get_close_matches(name.lower(), [*names, *also], n=1, cutoff=0.4)
    return (f"; did you mean '{close[0]}'?" if close else "") + f" (known: {', '.join(names)})"
