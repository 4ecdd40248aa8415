"""Published numbers beside measured ones: for the real suite alone, marked, with their source."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from odinw_bench.metrics.published import Kind, caveats, facts, official_code
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite
from odinw_bench.report.document import NOTHING, Cell, Column, number_cell
from odinw_bench.report.variants import BODY_ALONE, WRITTEN

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
_RELEASED = {
    "glip-t-a": "GLIP-T (A)",
    "glip-t-b": "GLIP-T (B)",
    "glip-t-c": "GLIP-T (C)",
    "glip-t": "GLIP-T (CC3M+SBU)",
    "glip-l": "GLIP-L (CC3M+12M, SBU)",
}
"""What the README calls the weights that a preset loads. Only for the lettered ones are they those of the paper."""
_ALSO_WRITTEN_FOR = {"GLIP-T (A)": ("rabbits", "mushrooms"), "GLIP-T (B)": ("rabbits", "mushrooms")}
"""Models for which the paper used fewer of its prompts than for the others."""

OFFICIAL_IDS = Column("AP official ids", numeric=True, hint="AP on the annotation ids as the files have them")
ABOUT_IDS = (
    "AP numbers the annotations of a file from 1. 'AP official ids' takes the ids as the file has them: the reference "
    "evaluator never counts an annotation with id 0 as found, so a perfect detector misses 100. It is what the "
    "official evaluation gives on these files, and likely what published numbers mean; that the authors' files had "
    "the same ids is not known. In a mean, tasks whose ids change nothing count with their AP."
)
PUBLISHED_COLUMNS = (
    Column("published", numeric=True, hint="from the paper"),
    Column("official code", numeric=True, hint="zero-shot, the official code run by others on 'val'"),
)


@dataclass(frozen=True)
class PublishedMean:
    """A published mean over the same data sets as a measured one.

    Attributes:
        ap: the number.
        source: where it was read, and what it is over.
        caveats: what to know about it.
        split: the split it is of, where known, in words.
    """

    ap: float
    source: str
    caveats: tuple[str, ...] = ()
    split: str = ""


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
    known_of = _caveats("paper", config, tasks)
    split = "the paper's are of splits that it does not name (its code: 'val' zero-shot, 'test' after tuning)"
    if set(tasks) == set(row["per_dataset"]):
        return PublishedMean(
            float(row["average"]["ap"]), f"published: {row['model']}, {row['source']}", known_of, split
        )
    source = f"published: {row['model']}, {row['source']}, mean of its {len(known)} columns measured here"
    return PublishedMean(statistics.fmean(known), source, known_of, split)


def released_mean(config: Config, tasks: Collection[str]) -> PublishedMean | None:
    """The README's zero-shot mean of the very weights that a preset loads; None for fewer than all 13 data sets.

    It stands beside both kinds of prompts, since the README does not say which it used.
    """
    name = _RELEASED.get(config.model) if _paper_model(config) else None
    if name is None or config.mode not in ("zero-shot", AS_PUBLISHED) or set(tasks) != _all_datasets():
        return None
    row = facts()["glip_readme"]["averages"][name]
    about = "about " if row.get("approximate") else ""
    source = f"released weights: {about}{row['ap']}, {name}, {facts()['glip_readme']['source']}"
    split = "those of the released weights are likely of 'val', which the README's command evaluates"
    return PublishedMean(float(row["ap"]), source, _caveats("released", config, tasks), split)


def official_code_mean(config: Config, tasks: Collection[str]) -> PublishedMean | None:
    """What the official code gives zero-shot with plain names, by mmdetection's table; None where it has no number."""
    model = _paper_model(config)
    row = official_code()["rows"].get(model)
    if row is None or config.mode != "zero-shot" or WRITTEN in config.variant or not tasks:
        return None
    source = f"official code: {model}, {official_code()['source']}, split '{official_code()['split']}'"
    known_of = _caveats("official-code", config, tasks)
    split = f"those of the official code are of '{official_code()['split']}'"
    if set(tasks) == _all_datasets():
        return PublishedMean(float(row["average"]), source, known_of, split)
    if not set(tasks) <= set(row["per_dataset"]):
        return None
    values = [float(row["per_dataset"][task]) for task in sorted(tasks)]
    columns = "" if len(values) == 1 else f", mean of its {len(values)} rows measured here"
    return PublishedMean(statistics.fmean(values), source + columns, known_of, split)


def _caveats(kind: Kind, config: Config, tasks: Collection[str]) -> tuple[str, ...]:
    mode = "zero-shot" if config.mode in ("zero-shot", "manual", AS_PUBLISHED) else config.mode
    return caveats(kind, model=_paper_model(config) or "", mode=mode, shots=config.shots, datasets=tasks)


def _all_datasets() -> set[str]:
    return set(facts()["glip_zero_shot_and_tuning"][0]["per_dataset"])


def published_cell(number: PublishedMean | None) -> Cell:
    """A published number, marked as such, with its source; a dash for none."""
    return number_cell(number.ap, hint=number.source, kind="published") if number else NOTHING


def published_notes(shown: Sequence[PublishedMean]) -> list[str]:
    """What to know about the published numbers of a table: each caveat of each, once."""
    known = dict.fromkeys(caveat for number in shown for caveat in number.caveats)
    splits = "; ".join(dict.fromkeys(number.split for number in shown))
    return [f"Published numbers were not measured here. Splits: {splits}.", *known] if shown else []


def with_published_prompts(suite: Suite) -> Suite:
    """Add what the paper calls zero-shot to the real suite: ``manual`` where it wrote prompts, else ``zero-shot``.

    A data set whose part was not measured is left out, like any that is missing.
    """
    if suite.base != SUITE:
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
    if model is None:
        return None
    mode = "zero-shot" if config.mode in ("zero-shot", "manual", AS_PUBLISHED) else config.mode
    for row in facts()["glip_zero_shot_and_tuning"]:
        if (row["model"], row["mode"], str(row["shots"])) == (model, mode, config.shots):
            return dict(row)
    return None


def _paper_model(config: Config) -> str | None:
    """The paper's name of the model; None for one it does not have, or with other weights or prompts than its.

    The paper's DyHead-T was pre-trained with a class head. The body of a GLIP under a new class layer is another
    model, so it has no published number.
    """
    own_weights = config.model == "dyhead-t" and BODY_ALONE not in config.variant
    foreign = "attributes " in config.variant or ("weights " in config.variant and not own_weights)
    return None if foreign else _MODELS.get(config.model)


def _written_prompts(model: str) -> Collection[str]:
    every = {entry["dataset"] for entry in facts()["manual_prompts"]["examples"]}
    return _ALSO_WRITTEN_FOR.get(model, every)
