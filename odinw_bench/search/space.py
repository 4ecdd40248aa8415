"""The prompts that a search may try, as parameters of a study and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution

from glip_core import Prompt
from glip_core.prompt import SEPARATOR, clean_name
from odinw_bench.datasets.task import Task
from odinw_bench.search.words import Pools

NOTHING = ""
"""The choice of no word."""

SHARED = "prompt"
"""The part of the parameters that belongs to no class."""

_SEPARATORS = (SEPARATOR, ", ")
_ORDERS = ("given", "reversed")


@dataclass(frozen=True)
class Candidate:
    """A prompt that can be tried.

    Attributes:
        parts: ``prefix``, ``name``, ``suffix`` of each class.
        separator: between two classes.
        order: positions of the classes in the order in which the caption names them.
    """

    parts: tuple[Mapping[str, str], ...]
    separator: str
    order: tuple[int, ...]

    def prompt(self) -> Prompt:
        """As the detector reads it."""
        in_order = self.order == tuple(range(len(self.parts)))
        return Prompt.from_parts(self.parts, separator=self.separator, order=None if in_order else self.order)

    def without(self, number: int) -> Candidate:
        """The same with one class's attributes left out."""
        bare = {"prefix": "", "name": self.parts[number]["name"], "suffix": ""}
        parts = tuple(bare if position == number else part for position, part in enumerate(self.parts))
        return Candidate(parts, self.separator, self.order)


class PromptSpace:
    """All prompts that may be tried.

    Per class a name, a word or none of each pool, and whether these stand before or after the name; for all classes
    together their order and what separates them.

    Args:
        task: the classes.
        pools: the words.
    """

    def __init__(self, task: Task, pools: Pools) -> None:
        self.classes = task.classes
        self.pools = pools
        self.groups: dict[str, dict[str, CategoricalDistribution]] = {}
        """Distributions by group: one per class, and :data:`SHARED`."""
        for number, entry in enumerate(task.classes):
            key = f"{number} {entry.name}"
            names = list(dict.fromkeys([clean_name(entry.name), *entry.synonyms]))
            group = {f"{key}/{kind}": CategoricalDistribution([NOTHING, *words]) for kind, words in pools.items()}
            group[f"{key}/form"] = CategoricalDistribution(["after", "before"])
            if len(names) > 1:
                group[f"{key}/name"] = CategoricalDistribution(names)
            self.groups[key] = group
        if len(task.classes) > 1:
            self.groups[SHARED] = {
                f"{SHARED}/separator": CategoricalDistribution(_SEPARATORS),
                f"{SHARED}/order": CategoricalDistribution(_ORDERS),
            }

    @property
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """All of them by name."""
        return {name: one for group in self.groups.values() for name, one in group.items()}

    def plain(self) -> dict[str, Any]:
        """The parameters of the plain names."""
        return {name: one.choices[0] for name, one in self.distributions.items()}

    def candidate(self, params: Mapping[str, Any]) -> Candidate:
        """The prompt of some parameters."""
        parts = []
        for number, entry in enumerate(self.classes):
            key = f"{number} {entry.name}"
            words = [params[f"{key}/{kind}"] for kind in self.pools if params[f"{key}/{kind}"] != NOTHING]
            name = params.get(f"{key}/name", clean_name(entry.name))
            parts.append(_part(name, words, before=params[f"{key}/form"] == "before"))
        order = list(range(len(parts)))
        if params.get(f"{SHARED}/order") == "reversed":
            order.reverse()
        return Candidate(tuple(parts), params.get(f"{SHARED}/separator", SEPARATOR), tuple(order))


def _part(name: str, words: Sequence[str], *, before: bool) -> dict[str, str]:
    if not words:
        return {"prefix": "", "name": name, "suffix": ""}
    if before:
        return {"prefix": " ".join(words) + " ", "name": name, "suffix": ""}
    return {"prefix": "", "name": name, "suffix": ", which is " + " and ".join(words)}
