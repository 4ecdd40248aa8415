"""The simplest good prompt: words of the best one that earn nothing on the labelled images are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odinw_bench.metrics.worth import drop_least
from odinw_bench.runs.environment import arithmetic
from odinw_bench.search.prompt_search import Search
from odinw_bench.search.space import NOTHING, Candidate


@dataclass(frozen=True)
class Simplest:
    """What is left of a prompt.

    Attributes:
        candidate: the prompt.
        search_ap: its AP in percent on the labelled images; None where they hold nothing to find.
        words: of each word of the best prompt its ``class``, ``kind`` and ``word``, the ``difference`` in AP that it
            makes there with its interval ``low`` to ``high`` (percent), and whether it was ``kept``.
    """

    candidate: Candidate
    search_ap: float | None
    words: list[dict[str, Any]]

    @property
    def is_shorter(self) -> bool:
        """Whether any word was left out."""
        return not all(row["kept"] for row in self.words)


def simplify(search: Search, params: Mapping[str, Any]) -> Simplest:
    """Leave out words that earn nothing; see :func:`odinw_bench.metrics.worth.drop_least`.

    Args:
        search: whose labelled images count.
        params: of the prompt to begin with.
    """
    space, kept = search.space, dict(params)
    words = [name for name in kept if name.rpartition("/")[2] in space.pools and kept[name] != NOTHING]
    with arithmetic(search.prepared.facts, search.settings.device):
        scorer = search.scorer

        def without(names: frozenset[str]) -> Candidate:
            return space.candidate(kept | dict.fromkeys(names, NOTHING))

        worth = drop_least(
            words,
            lambda names: scorer.predictions(without(names).prompt()),
            scorer.annotations,
            search.settings.seed,
        )
        candidate = without(worth.dropped)
        ap = scorer.measure(scorer.predictions(candidate.prompt()))["AP"]
    rows = []
    for name in words:
        group, _, kind = name.rpartition("/")
        found = worth.alone[name]
        row = {"class": group.partition(" ")[2], "kind": kind, "word": kept[name], "difference": found.difference}
        rows.append(row | {"low": found.low, "high": found.high, "kept": name not in worth.dropped})
    return Simplest(candidate, ap, rows)
