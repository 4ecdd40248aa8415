"""What a check finds: kinds, how often, and the first examples."""

from __future__ import annotations

from dataclasses import dataclass

from odinw_bench.utils.text import shorten

ERRORS = frozenset(
    {
        "annotation file missing",
        "annotations unusable",
        "duplicate image id",
        "not as downloaded",
        "picture missing",
        "picture unreadable",
        "wrong image size",
        "same picture in two splits",
        "same picture in two splits, other metadata",
        "same picture in two splits, encoded again",
        "same picture in two splits, resized",
    }
)
"""Kinds that make numbers wrong or runs fail. The others are worth knowing, and common in published data."""

MOST_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One kind of finding in one split.

    Attributes:
        split: where.
        kind: what.
        count: how often.
        examples: the first few.
    """

    split: str
    kind: str
    count: int
    examples: tuple[str, ...]


class Findings:
    """Collects findings; keeps few examples, however many there are."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def add(self, split: str, kind: str, example: str) -> None:
        """One more."""
        count, examples = self._found.get((split, kind), (0, []))
        if count < MOST_EXAMPLES:
            examples.append(example if len(example) <= 300 else shorten(example, 300))
        self._found[split, kind] = (count + 1, examples)

    def listed(self) -> list[Finding]:
        """All, errors first."""
        found = [Finding(split, kind, count, tuple(seen)) for (split, kind), (count, seen) in self._found.items()]
        return sorted(found, key=lambda finding: finding.kind not in ERRORS)
