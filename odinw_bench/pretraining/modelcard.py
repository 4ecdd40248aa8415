"""Model cards of the embedded models, as Markdown: written from the weights' own metadata and from run records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from odinw_bench.engine.protocol_files import PROTOCOLS
from odinw_bench.metrics.stats import summarize
from odinw_bench.pretraining.learners import stream_config
from odinw_bench.pretraining.query import NETWORKS
from odinw_bench.pretraining.shipped import Shipped, shipped
from odinw_bench.runs.record import RunRecord
from odinw_bench.runs.spec import UNTUNED

SUITE = "mini"


def model_card(model: str, records: Iterable[RunRecord]) -> str:
    """The card of an embedded model.

    Args:
        model: an embedded model.
        records: run records; those of this model on the miniature, with the very weights of the package, are its
            test numbers.

    Raises:
        InputError: the model has no embedded weights, or they carry no card.
    """
    found = shipped(model)
    sections = [
        f"# {model}\n\n{found.title}. Trained on the drawn miniature world alone: its numbers are its own and say "
        "nothing about photographs.",
        _facts(found),
        _tests(model, found.sha256, records),
    ]
    return "\n\n".join(sections) + "\n"


_LOSSES = ("alignment", "box", "centerness", "class", "dense_class", "dense_box")


def _facts(found: Shipped) -> str:
    facts = found.facts
    recipe = json.loads(facts["recipe"])
    last = json.loads(facts.get("last") or "{}")
    mix = ", ".join(f"{kind} {share:.0%}" for kind, share in recipe["mix"].items())
    losses = ", ".join(f"{name.replace('_', ' ')} {last[name]:.3f}" for name in _LOSSES if name in last)
    rows = [
        ("architecture", found.architecture),
        ("parameters", f"{found.parameters / 1e6:.2f} million, half precision, {found.size / 1e6:.1f} MB"),
        ("sha256", f"`{found.sha256}`"),
        ("data", f"{recipe['steps'] * recipe['batch']:,} scenes drawn on the fly: {mix}"),
        ("begins with", _beginning(recipe)),
        (
            "teacher",
            f"{_name(recipe['teacher'])}, boxes of score {recipe['confidence']} or more"
            if recipe["teacher"]
            else "none",
        ),
        (
            "optimiser",
            f"AdamW, peak rate {recipe['lr']:g} after {recipe['warmup']} steps, cosine to 0; "
            f"weight decay {recipe['weight_decay']:g}; batch {recipe['batch']}; {recipe['precision']}",
        ),
        ("steps, seed", f"{recipe['steps']}, {recipe['seed']}"),
        ("last losses", losses),
        ("time", f"{last['seconds'] / 60:.0f} minutes" if last else "unknown"),
        ("hardware", facts.get("hardware", "unknown")),
        ("software", facts.get("software", "unknown")),
    ]
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _beginning(recipe: Mapping[str, Any]) -> str:
    if recipe.get("whole"):
        return f"all weights of {_name(recipe['whole'])}"
    if not recipe["backbone"]:
        return "random weights"
    share, model = recipe.get("borrowed_share", 1), recipe["model"]
    text = " and text encoder" if model in NETWORKS and stream_config(model).has_text else ""
    slower = f", at {share:g} of the rate" if share != 1 else ""
    return f"the vision backbone{text} of {_name(recipe['backbone'])}{slower}"


def _name(source: str) -> str:
    return source.rpartition("/")[2].removesuffix(".safetensors")


def _tests(model: str, sha256: str, records: Iterable[RunRecord]) -> str:
    """Mean AP over tasks by mode and shots: first over seeds, then over tasks; of several protocols by the newest."""
    scores: dict[tuple[str, str], dict[str, dict[str, dict[int, float]]]] = {}
    for record in records:
        spec = record.spec
        if record.ap is None or not record.is_done or spec.model != model or spec.suite != SUITE:
            continue
        if spec.attributes or spec.overrides:  # a searched prompt or recipe is not the model's usual run
            continue
        if record.get("weights_sha256") == sha256:
            protocols = scores.setdefault((spec.mode, str(spec.shots)), {})
            cell = protocols.setdefault("–" if spec.mode in UNTUNED else record.protocol_name or "", {})
            cell.setdefault(spec.dataset, {})[spec.seed] = record.ap  # a run that was done twice counts once
    if not scores:
        return "No test numbers: no run records of these weights were given."
    lines = [f"AP on the test splits of suite `{SUITE}`, mean over seeds, then over tasks:\n"]
    lines += ["| mode | shots | AP | tasks | seeds | protocol |", "|---|---|---|---|---|---|"]
    for (mode, shots), protocols in sorted(scores.items(), key=lambda item: (item[0][0], _order(item[0][1]))):
        protocol, by_task = max(protocols.items(), key=lambda item: _ORDER.get(item[0], -1))
        mean = summarize([summarize(list(seeds.values())).mean for seeds in by_task.values()]).mean
        seeds = {len(one) for one in by_task.values()}
        shown = str(min(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
        lines.append(f"| {mode} | {shots} | {mean:.1f} | {len(by_task)} | {shown} | {protocol} |")
    return "\n".join(lines)


_ORDER = {name: place for place, name in enumerate(PROTOCOLS)}


def _order(shots: str) -> int:
    return int(shots) if shots.isdigit() else 10**6
