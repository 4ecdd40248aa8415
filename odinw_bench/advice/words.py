"""Which words of a hand-written prompt earn their place: those that earn nothing on the images are left out."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from glip_core import Prompt
from glip_core.prompt import clean_name
from odinw_bench.advice.candidates import Candidate, Say, spec_of
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget, OutOfTime
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.task import Task
from odinw_bench.engine.scorer import Scorer
from odinw_bench.metrics.stats import resampled_aps
from odinw_bench.metrics.worth import SAMPLES, drop_least
from odinw_bench.models import TunableModel, model_facts
from odinw_bench.runs.environment import arithmetic
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.work import load_model
from odinw_bench.utils.hardware import pick_device
from odinw_bench.utils.io import write_text

_WHICH = re.compile(r"(?P<lead>,? which (?:is|are) )(?P<words>.+)", re.DOTALL)


@dataclass(frozen=True)
class Word:
    """A part of a hand-written prompt that can be left out.

    Attributes:
        number: of the class, from 0.
        kind: ``prefix``, ``name`` (without it: the class's own name) or ``suffix``.
        text: what is left out.
    """

    number: int
    kind: str
    text: str

    @property
    def key(self) -> str:
        """A name that no other word of the prompt has."""
        return f"{self.number} {self.kind} {self.text}"


def words_of(task: Task) -> list[Word]:
    """What the hand-written prompt says beside the plain names.

    Of a suffix ", which is A and B" A and B are a word each; any other suffix, and a prefix, is one word.
    """
    found: dict[str, Word] = {}
    for number, part in enumerate(task.prompt_parts()):
        said = [Word(number, "prefix", part["prefix"].strip())]
        if clean_name(part["name"]) != clean_name(task.classes[number].name):
            said.append(Word(number, "name", part["name"]))
        said += [Word(number, "suffix", text) for text in _described(part["suffix"])[1]]
        found |= {word.key: word for word in said if word.text}
    return list(found.values())


def parts_without(task: Task, dropped: Collection[str]) -> list[dict[str, str]]:
    """The parts of the hand-written prompt (``prefix``, ``name``, ``suffix`` of each class) without some words.

    Args:
        task: with a hand-written prompt.
        dropped: keys of the words.
    """
    parts = []
    for number, part in enumerate(task.prompt_parts()):
        lead, texts = _described(part["suffix"])
        left = [text for text in texts if Word(number, "suffix", text).key not in dropped]
        prefix, name = Word(number, "prefix", part["prefix"].strip()), Word(number, "name", part["name"])
        suffix = part["suffix"] if len(left) == len(texts) else lead + " and ".join(left) if left else ""
        parts.append(
            {
                "prefix": "" if prefix.key in dropped else part["prefix"],
                "name": task.classes[number].name if name.key in dropped else part["name"],
                "suffix": suffix,
            }
        )
    return parts


def _described(suffix: str) -> tuple[str, list[str]]:
    """What a suffix begins with, and its words."""
    found = _WHICH.fullmatch(suffix)
    if found is None:
        return "", [suffix.strip()]
    return found["lead"], [text for text in found["words"].split(" and ") if text.strip()]


def prompt_words(
    candidate: Candidate, labelled: Labelled, settings: AdviceSettings, budget: Budget, say: Say
) -> dict[str, Any] | None:
    """Which words of the hand-written prompt earn their place, and the prompt without the others.

    Zero-shot detections on the tested images of as many folds as there is time for; vision features are computed once.

    Args:
        candidate: of the mode ``manual``, with records.
        labelled: the images.
        settings: of the advice.
        budget: nothing is done that would not end in it.
        say: called with the result.

    Returns:
        ``model``, ``images`` (their number), ``caption`` and ``AP`` of the whole prompt; ``words``: ``class``,
        ``kind``, ``word``, the ``difference`` in AP that it makes with its interval ``low`` to ``high`` (percent), and
        whether it was ``kept``; ``simplest``: ``caption``, ``AP``, ``low``, ``high`` and ``file`` (for ``run
        --attributes``) of the prompt that is left, None where all words stay. None in place of all that where there is
        nothing to leave out, no time, or the model's features cannot be computed once for all prompts.
    """
    words = {word.key: word for word in words_of(labelled.task)}
    facts, records = model_facts(candidate.model), candidate.full
    if not words or not records or not facts.has_text or "prompt" not in facts.modes:
        return None
    speed = min(record.cost["images_per_second"] for record in records.values())
    prompts = 2 * len(words) + 1  # at most: all words, without each, and without the more and more that went
    folds, images = [], 0
    for number in sorted(records):
        if prompts * (images + len(labelled.folds[number].tested)) / max(speed, 1e-9) < budget.left():
            folds.append(number)
            images += len(labelled.folds[number].tested)
    if not folds:
        return None
    device = pick_device(settings.device)
    first = labelled.folds[folds[0]]
    cell = prepare(spec_of(candidate, first.file, settings, short=False), settings.results)
    with arithmetic(cell.facts, device):
        model = load_model(cell, device)
        if not isinstance(model, TunableModel):
            return None
        scorer = Scorer(model, [open_split(load_task(labelled.folds[number].file), "test") for number in folds])
        kept: dict[frozenset[str], list[dict[str, Any]]] = {}

        def detect_without(dropped: frozenset[str]) -> list[dict[str, Any]]:
            if budget.left() < 0:
                raise OutOfTime
            if dropped not in kept:
                kept[dropped] = scorer.predictions(Prompt.from_parts(parts_without(labelled.task, dropped)))
            return kept[dropped]

        try:
            worth = drop_least(list(words), detect_without, scorer.annotations, settings.seed)
        except OutOfTime:
            say("which words of the prompt earn their place was not found out: the time for it is over")
            return None
    shown = [kept[frozenset()], kept[worth.dropped]]
    aps, drawn = resampled_aps(scorer.annotations, shown, SAMPLES, settings.seed)
    low, high = np.quantile(drawn[:, 1], [0.025, 0.975])
    captions = [Prompt.from_parts(parts_without(labelled.task, gone)).caption for gone in ((), worth.dropped)]
    simplest = None
    if worth.dropped:
        file = labelled.folder / "simplest.yaml"
        _write(file, labelled.task, worth.dropped)
        simplest = {"caption": captions[1], "AP": aps[1], "low": float(low), "high": float(high), "file": str(file)}
        say(f"the prompt with {len(words) - len(worth.dropped)} of its {len(words)} words: AP {aps[1]:.1f}")
    rows = [
        {
            "class": labelled.task.classes[word.number].name,
            "kind": word.kind,
            "word": word.text,
            "difference": worth.alone[key].difference,
            "low": worth.alone[key].low,
            "high": worth.alone[key].high,
            "kept": key not in worth.dropped,
        }
        for key, word in words.items()
    ]
    return {
        "model": candidate.model,
        "images": len(scorer.annotations["images"]),
        "caption": captions[0],
        "AP": aps[0],
        "words": rows,
        "simplest": simplest,
    }


def _write(file: Path, task: Task, dropped: Collection[str]) -> None:
    write_text(file, yaml.safe_dump({"parts": parts_without(task, dropped)}, sort_keys=False))
