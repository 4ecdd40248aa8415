"""The simplest good prompt: words of the best one that earn nothing on the labelled images are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odinw_bench.metrics.coco import evaluate
from odinw_bench.metrics.stats import Comparison, paired_bootstrap
from odinw_bench.runs.environment import arithmetic
from odinw_bench.search.prompt_search import Search
from odinw_bench.search.space import NOTHING, Candidate

SAMPLES = 500


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
    """Leave out words one by one, the least useful first, as long as the AP is not clearly below that of all words.

    A word may go whose own interval (95 %, paired bootstrap over the labelled images) holds zero or lies below it. It
    goes if the prompt without it, and without those that went before, is not clearly worse than the one
    with all of them.

    Args:
        search: whose labelled images count.
        params: of the prompt to begin with.
    """
    space, kept = search.space, dict(params)
    with arithmetic(search.prepared.facts, search.settings.device):
        scorer = search.scorer
        whole = scorer.predictions(space.candidate(kept).prompt())

        def worth(names: set[str]) -> Comparison:
            fewer = space.candidate(kept | dict.fromkeys(names, NOTHING)).prompt()
            return paired_bootstrap(
                scorer.annotations, whole, scorer.predictions(fewer), SAMPLES, seed=search.settings.seed
            )

        words = [name for name in kept if name.rpartition("/")[2] in space.pools and kept[name] != NOTHING]
        alone = {name: worth({name}) for name in words}
        gone: set[str] = set()
        for name in sorted(words, key=lambda one: alone[one].difference):
            if alone[name].low <= 0 and (not gone or worth({*gone, name}).low <= 0):
                gone.add(name)
        candidate = space.candidate(kept | dict.fromkeys(gone, NOTHING))
        ap = evaluate(scorer.annotations, scorer.predictions(candidate.prompt()), official_ids=False)["AP"]
    rows = []
    for name in words:
        group, _, kind = name.rpartition("/")
        found = alone[name]
        row = {"class": group.partition(" ")[2], "kind": kind, "word": kept[name], "difference": found.difference}
        rows.append(row | {"low": found.low, "high": found.high, "kept": name not in gone})
    return Simplest(candidate, ap, rows)
