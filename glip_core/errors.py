"""The one exception for input that cannot be used, and what its messages say about unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the offending file, field or value and says what to do about it;
    the command line prints it as it is and exits with code 2.
    """


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
