"""What a search found: the test split is looked at once, at the end; files for people and for ``run``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.metrics.stats import paired_bootstrap
from odinw_bench.runs.environment import arithmetic
from odinw_bench.runs.spec import RunSpec
from odinw_bench.search import OFFICIAL, PLAIN, Search, best_candidate, given_trial
from odinw_bench.search.prompt_search import labelled_images
from odinw_bench.search.sampler import BY_GROUP
from odinw_bench.search.simplest import simplify
from odinw_bench.search.space import Candidate
from odinw_bench.search.study import BEST, SCHEMA, SIMPLEST, trial_rows
from odinw_bench.search.testing import run_once_free
from odinw_bench.utils.escape import visible
from odinw_bench.utils.io import write_json, write_text

Say = Callable[[str], None]


def conclude(search: Search, control: Mapping[str, float] | None, *, explain: bool, say: Say) -> dict[str, Any]:
    """Write ``best.yaml``, run the prompts on the test split, write ``search.json``.

    Args:
        search: whose trials are done.
        control: what :func:`odinw_bench.search.shuffled_control` found; None: not asked for.
        explain: also say which words matter, and test the prompt without those that do not (``simplest.yaml``).
        say: called with a line of text at each step.

    Returns:
        the content of ``search.json``: ``prompts`` (per prompt its caption, AP on the labelled images and on the test
        split, and the folder of its record), ``trials``, ``shuffled_control``, ``words`` and ``single_words``.
    """
    settings, study = search.settings, search.study()
    best, candidate = best_candidate(search)
    path = search.folder / "best.yaml"
    write_best(path, search, candidate)
    if explain:
        say("leaving out words that earn nothing on the labelled images")
    simplest = simplify(search, best.params) if explain else None
    say("testing the plain names, the hand-written prompt and the best found")
    prompts: dict[str, dict[str, Any]] = {}
    specs = {PLAIN: plain_names(search)}
    if search.prepared.task.has_manual:
        specs[OFFICIAL] = settings.spec(mode="manual")
    specs[BEST] = settings.spec(mode="manual", attributes=str(path))
    if simplest is not None and simplest.is_shorter:
        shorter = search.folder / "simplest.yaml"
        write_best(shorter, search, simplest.candidate)
        specs[SIMPLEST] = settings.spec(mode="manual", attributes=str(shorter))
    for what, spec in specs.items():
        record = run_once_free(spec, settings, say)
        trial = best if what == BEST else given_trial(study, what)
        prompts[what] = {
            "search_AP": None if trial is None else trial.value,
            "test_AP": record.ap,
            "test_per_class": record.per_class,
            "digest": record.digest,
        }
    if OFFICIAL in prompts:
        prompts[OFFICIAL]["search_AP"] = hand_written_ap(search)
    if simplest is not None and SIMPLEST in prompts:
        prompts[SIMPLEST] |= {"search_AP": simplest.search_ap, "caption": simplest.candidate.prompt().caption}
    prompts[BEST]["caption"] = candidate.prompt().caption
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "search",
        "space": "prompt",
        "spec": settings.spec().to_json() | {"suite": search.prepared.task.suite, "dataset": search.prepared.task.name},
        "images": {"searched_on": sum(map(len, labelled_images(search.prepared)))},
        "prompts": prompts,
        "best_parts": [dict(part) for part in candidate.parts],
        "shuffled_control": None if control is None else dict(control),
        "words": explain_words(search, candidate) if explain else None,
        "single_words": None if simplest is None else simplest.words,
        "trials": trial_rows(study, per_class=BY_GROUP),
    }
    write_json(search.folder / "search.json", content)
    return content


def plain_names(search: Search) -> RunSpec:
    """The run of the plain names; said in so many words only where the task's own style is another."""
    usual = search.prepared.task.prompt_style == "names"
    return search.settings.spec(mode="zero-shot", prompt_style=None if usual else "names")


def hand_written_ap(search: Search) -> float | None:
    """AP of the task's hand-written prompt on the labelled images, in percent; None where they hold nothing to find.

    It is the trial's where the search could try this very prompt: its own words may only come near it.
    """
    prompt = task_prompt(search.prepared.task, "manual")
    tried = given_trial(search.study(), OFFICIAL)
    if tried is not None and search.space.candidate(tried.params).prompt() == prompt:
        return tried.value
    with arithmetic(search.prepared.facts, search.settings.device):
        ap: float | None = search.scorer.score(prompt)["AP"]
    return ap


def write_best(path: Path, search: Search, candidate: Candidate) -> None:
    """A prompt as a file that ``run --mode manual --attributes FILE`` takes."""
    names = [entry.name for entry in search.space.classes]
    content: dict[str, Any] = {"parts": [dict(part) for part in candidate.parts]}
    content["separator"] = candidate.separator
    content["order"] = [names[position] for position in candidate.order]
    text = _yaml(content)
    if yaml.safe_load(text) != content:  # PyYAML writes some line ends as they are, and reads them as spaces
        text = _yaml(content, allow_unicode=False)
    # Visible, or a line end in a name would end the comment.
    about = (f"found by 'odinw-bench search' for {search.name}", f"classes: {', '.join(names)}")
    write_text(path, "".join(f"# {visible(line)}\n" for line in about) + text)


def _yaml(content: Mapping[str, Any], *, allow_unicode: bool = True) -> str:
    return str(
        yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=allow_unicode, default_flow_style=None, width=120)
    )


def explain_words(search: Search, candidate: Candidate) -> list[dict[str, Any]]:
    """What each class's attributes are worth: the prompt with them against the prompt without, on the labelled images.

    Returns:
        per class that has any: ``class``, ``words``, the ``difference`` in AP of the whole task with its bootstrap
        interval ``low`` to ``high``, and ``class_difference``, of that class alone.
    """
    rows = []
    with arithmetic(search.prepared.facts, search.settings.device):
        scorer = search.scorer
        whole = scorer.predictions(candidate.prompt())
        with_words = list(scorer.measure(whole)["per_class"].values())
        for number, entry in enumerate(search.space.classes):
            part = candidate.parts[number]
            if not (part["prefix"] or part["suffix"]):
                continue
            bare = scorer.predictions(candidate.without(number).prompt())
            compared = paired_bootstrap(scorer.annotations, whole, bare, samples=500, seed=search.settings.seed)
            alone = list(scorer.measure(bare)["per_class"].values())[number]
            rows.append(
                {
                    "class": entry.name,
                    "words": f"{part['prefix']}{part['name']}{part['suffix']}",
                    "difference": compared.difference,
                    "low": compared.low,
                    "high": compared.high,
                    "class_difference": None if alone is None else with_words[number] - alone,
                }
            )
    return rows
