"""Published numbers beside measured ones: for the real suite alone, marked, with their source."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from odinw_bench.metrics.published import facts
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite

SUITE = "odinw13"
"""The only suite that published rows are of."""

_MODELS = {
    "glip-t-a": "GLIP-T (A)",
    "glip-t-b": "GLIP-T (B)",
    "glip-t-c": "GLIP-T (C)",
    "glip-t": "GLIP-T",
    "glip-l": "GLIP-L",
    "dyhead-t": "DyHead-T (O365)",
}
_ALSO_WRITTEN_FOR = {"GLIP-T (A)": ("rabbits", "mushrooms"), "GLIP-T (B)": ("rabbits", "mushrooms")}
"""Models for which the paper used fewer of its prompts than for the others."""


@dataclass(frozen=True)
class PublishedMean:
    """A published mean over the same data sets as a measured one.

    Attributes:
        ap: the number.
        source: where it was read, and what it is over.
    """

    ap: float
    source: str


def published_ap(config: Config, task: str) -> float | None:
    """The paper's AP of a configuration on one data set of the real suite; None where it has none.

    The paper's zero-shot numbers use hand-written prompts on some data sets: there they stand beside the mode
    ``manual``, elsewhere beside ``zero-shot``.
    """
    row = _row(config)
    if row is None or task not in row["per_dataset"]:
        return None
    written = task in _written_prompts(row["model"])
    if (config.mode == "zero-shot" and written) or (config.mode == "manual" and not written):
        return None
    return float(row["per_dataset"][task]["ap"])


def published_mean(config: Config, tasks: Collection[str]) -> PublishedMean | None:
    """The paper's mean over exactly these data sets; None where it lacks one of them."""
    row = _row(config)
    values = [published_ap(config, task) for task in sorted(tasks)]
    known = [value for value in values if value is not None]
    if row is None or not known or len(known) < len(values):
        return None
    if set(tasks) == set(row["per_dataset"]):
        return PublishedMean(float(row["average"]["ap"]), f"published: {row['model']}, {row['source']}")
    told = f"published: {row['model']}, {row['source']}, mean of its {len(known)} columns measured here"
    return PublishedMean(statistics.fmean(known), told)


def with_published_prompts(suite: Suite) -> Suite:
    """Add what the paper calls zero-shot to the real suite: ``manual`` where it wrote prompts, else ``zero-shot``.

    A data set whose part was not measured is left out, like any that is missing.
    """
    if suite.name != SUITE:
        return suite
    scores = dict(suite.scores)
    for config in suite.scores:
        manual = replace(config, mode="manual")
        if config.mode != "zero-shot" or manual not in suite.scores or _paper_model(config) is None:
            continue
        written = _written_prompts(str(_paper_model(config)))
        plain, by_hand = suite.scores[config], suite.scores[manual]
        joined = {task: score for task, score in plain.items() if task not in written}
        joined |= {task: score for task, score in by_hand.items() if task in written}
        scores[replace(config, mode=AS_PUBLISHED)] = dict(sorted(joined.items()))
    return replace(
        suite, scores={config: scores[config] for config in sorted(scores, key=lambda c: c.rank) if scores[config]}
    )


def _row(config: Config) -> dict[str, Any] | None:
    model = _paper_model(config)
    mode = "zero-shot" if config.mode in ("zero-shot", "manual", AS_PUBLISHED) else config.mode
    for row in facts()["glip_zero_shot_and_tuning"]:
        if (row["model"], row["mode"], str(row["shots"])) == (model, mode, config.shots):
            return dict(row)
    return None


def _paper_model(config: Config) -> str | None:
    """The paper's name of the model; None for one it does not have, or with other weights or prompts than its."""
    foreign = "attributes " in config.variant or ("weights " in config.variant and config.model != "dyhead-t")
    return None if foreign else _MODELS.get(config.model)


def _written_prompts(model: str) -> Collection[str]:
    every = {entry["dataset"] for entry in facts()["manual_prompts"]["examples"]}
    return _ALSO_WRITTEN_FOR.get(model, every)
