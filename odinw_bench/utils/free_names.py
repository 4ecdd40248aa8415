"""Names for the files of one folder, no two of which are one file anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class FreeNames:
    """Gives each name once; some file systems do not tell upper and lower case apart, so it does not either.

    Args:
        taken: names that are not given.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(map(str.casefold, taken))
        self._numbers: Counter[str] = Counter()  # the last that a name got: the next is tried first

    def take(self, stem: str, ending: str = "") -> str:
        """The name of both, or with the first number from 2 between them that makes it another than all before."""
        name = stem + ending
        wanted = name.casefold()
        while name.casefold() in self._taken:
            number = self._numbers[wanted] = max(2, self._numbers[wanted] + 1)
            name = f"{stem}-{number}{ending}"
        self._taken.add(name.casefold())
        return name
