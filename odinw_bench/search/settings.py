"""What a search is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glip_core.errors import InputError, nearest
from odinw_bench.models import model_facts
from odinw_bench.runs.spec import UNTUNED, RunSpec, Shots

SPACES = ("prompt", "tuning")
"""What can be searched among."""


@dataclass(frozen=True)
class SearchSettings:
    """What to search for and on what.

    Attributes:
        dataset, model, suite, shots, seed, weights, protocol: see :class:`odinw_bench.RunSpec`.
        space: ``prompt``: words; ``tuning``: hyper-parameters of a tuning mode.
        mode: the tuning mode whose hyper-parameters are sought; without meaning for prompts.
        trials: prompts or recipes to try, those that are given included.
        timeout: seconds after which no new trial begins; None: no limit.
        storage: URL of a database for the study; None: a journal file in the search's folder.
        results: folder of the records; searches lie in its ``search/``.
        data_root: folder of the official data.
        device: ``cpu`` or ``cuda[:N]``.
    """

    dataset: str
    model: str = "glip-nano"
    suite: str = "mini"
    shots: Shots = 5
    seed: int = 3
    weights: str | None = None
    trials: int = 60
    timeout: float | None = None
    storage: str | None = None
    results: Path = field(default_factory=lambda: Path("results"))
    data_root: Path | None = None
    device: str = "cpu"
    space: str = "prompt"
    mode: str = "prompt"
    protocol: str | None = None

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise InputError(f"unknown --space '{self.space}'{nearest(self.space, SPACES)}")
        facts = model_facts(self.model)
        if self.space == "prompt" and (not facts.has_text or "prompt" not in facts.modes):
            raise InputError(f"'{self.model}' reads no prompts that could be searched for; take a model that reads one")
        if self.space == "tuning" and self.mode in UNTUNED:
            raise InputError(f"mode '{self.mode}' tunes nothing: there are no hyper-parameters to search for")
        if self.trials < 1:
            raise InputError(f"--trials must be 1 or more, not {self.trials}")

    def spec(self, **changes: Any) -> RunSpec:
        """A run on the same task, model and subset."""
        mode = self.mode if self.space == "tuning" else "prompt"
        base = RunSpec(self.dataset, self.model, self.suite, mode, self.shots, self.seed, self.protocol, self.weights)
        return replace(base, **changes)
