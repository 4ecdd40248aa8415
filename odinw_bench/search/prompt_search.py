"""Searching for the words of a prompt on the few labelled images: Optuna's studies, one per dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.engine.scorer import Scorer
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.environment import arithmetic
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.work import load_tunable
from odinw_bench.search.sampler import ByClassSampler
from odinw_bench.search.settings import SearchSettings
from odinw_bench.search.space import SHARED, Candidate, PromptSpace
from odinw_bench.search.study import FINISHED, best_trial, enqueue, given_trial, open_storage, open_study, optimise
from odinw_bench.search.words import pools_of
from odinw_bench.utils.io import canonical_json, sha256_bytes

PLAIN, OFFICIAL = "plain names", "hand-written"
NEAREST = "nearest to hand-written"
"""What the space's own words make of a hand-written prompt that has others, too."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Search:
    """A search that is set up: what every worker of it needs.

    Attributes:
        settings: as given.
        prepared: the task with its labelled images.
        space: the prompts that may be tried.
        name: of the study; searches of the same kind on the same images share one.
        folder: of its files.
    """

    settings: SearchSettings
    prepared: Cell
    space: PromptSpace
    name: str
    folder: Path

    def study(self) -> Study:
        """The study, from its storage."""
        return open_study(
            open_storage(self.settings.storage, self.folder),
            self.name,
            ByClassSampler(self.space, self.settings.seed),
        )

    @cached_property
    def scorer(self) -> Scorer:
        """The detector on the labelled images, loaded once in each process."""
        return Scorer(load_tunable(self.prepared, self.settings.device), labelled_images(self.prepared))


def labelled_images(prepared: Cell) -> list[Split]:
    """What a search is scored on: the k-shot subset and the images that tuning selects on, each picture once.

    Data without a validation split have both from one; an image that counted twice would make intervals too narrow.
    """
    train, validation = prepared.train, prepared.validation
    assert train is not None
    assert validation is not None
    if not _of_one_split(prepared):
        return [train, validation]
    taken = {train.file_name(image) for image in train.image_ids}
    more = [image for image in validation.image_ids if validation.file_name(image) not in taken]
    return [train, validation.subset(more)] if more else [train]


def _of_one_split(prepared: Cell) -> bool:
    task = prepared.task
    return prepared.few_shot_validation == "given" or task.selection_split == task.learnt_from(prepared.spec.shots)


def set_up(settings: SearchSettings) -> Search:
    """Look everything up.

    Raises:
        InputError: the task, its data, the model or its weights cannot be used.
    """
    prepared = prepare(settings.spec(), settings.results, data_root=settings.data_root)
    space = PromptSpace(prepared.task, pools_of(prepared.task))
    choices = {name: list(one.choices) for name, one in space.distributions.items()}
    asked: list[Any] = [prepared.digest, choices]
    if _of_one_split(prepared):  # a study whose trials counted some twice does not go on
        asked.append("each image once")
    digest = sha256_bytes(canonical_json(asked))[:8]
    task = prepared.task
    name = f"{task.suite}/{prepared.facts.name}/{task.name}/prompt-{settings.shots}shot-seed{settings.seed}-{digest}"
    return Search(settings, prepared, space, name, settings.results / "search" / name)


def begin(search: Search, *, hints: bool = True) -> None:
    """Have the plain names tried first, and with ``hints`` the hand-written prompt or what comes nearest to it."""
    study, space = search.study(), search.space
    enqueue(study, space.plain(), PLAIN)
    written = written_params(space)
    if hints and written is not None:
        same = space.candidate(written).prompt() == task_prompt(search.prepared.task, "manual")
        enqueue(study, written, OFFICIAL if same else NEAREST)


def work(search: Search, say: Say = lambda _: None) -> None:
    """Try prompts until the study is complete, together with all other workers of the study."""
    settings = search.settings
    with arithmetic(search.prepared.facts, settings.device):
        optimise(
            search.study(),
            search.folder,
            search.space,
            search.scorer,
            trials=settings.trials,
            timeout=settings.timeout,
            say=say,
        )


def shuffled_control(search: Search, say: Say = lambda _: None) -> dict[str, float]:
    """A control: the same search with shuffled labels, where there is nothing to find.

    It tries as many prompts as the search has by now, however many workers that had and whatever time it was given.

    Returns:
        ``plain``: AP of the plain names on those labels; ``best``: of the best prompt found; ``gain``: what a search
        of this size gains by chance alone, AP in percent.

    Raises:
        InputError: no trial of the search is finished yet.
    """
    settings, space, searched = search.settings, search.space, search.study()
    best_trial(searched)
    storage = open_storage(None, search.folder / "shuffled_control")
    study = open_study(storage, f"{search.name} shuffled_control", ByClassSampler(space, settings.seed))
    enqueue(study, space.plain(), PLAIN)
    with arithmetic(search.prepared.facts, settings.device):
        optimise(
            study,
            search.folder / "shuffled_control",
            space,
            search.scorer.shuffled(settings.seed),
            trials=len(searched.get_trials(deepcopy=False, states=FINISHED)),
            timeout=None,
            say=say,
        )
    plain, best = given_trial(study, PLAIN), best_trial(study)
    plain_value = float(plain.value or 0.0) if plain is not None else 0.0
    return {"plain": plain_value, "best": float(best.value or 0.0), "gain": float(best.value or 0.0) - plain_value}


def best_candidate(search: Search) -> tuple[FrozenTrial, Candidate]:
    """The best prompt so far.

    Raises:
        InputError: no trial is finished yet.
    """
    best = best_trial(search.study())
    return best, search.space.candidate(best.params)


def written_params(space: PromptSpace) -> dict[str, Any] | None:
    """The hand-written prompt as far as the space's own words go; None where it has none of them, or there is none."""
    params = space.plain()
    found = False
    for number, entry in enumerate(space.classes):
        if entry.manual is None or not (entry.manual.get("prefix") or entry.manual.get("suffix")):
            continue
        said = f"{entry.manual.get('prefix', '')} {entry.manual.get('suffix', '')}"
        for kind, words in space.pools.items():
            fitting = [word for word in words if f" {word} " in f" {said.replace(',', ' ')} "]
            if fitting:
                params[f"{number} {entry.name}/{kind}"] = max(fitting, key=len)
                found = True
    return params if found else None


__all__ = [
    "NEAREST",
    "OFFICIAL",
    "PLAIN",
    "SHARED",
    "Search",
    "SearchSettings",
    "begin",
    "best_candidate",
    "given_trial",
    "labelled_images",
    "set_up",
    "shuffled_control",
    "work",
    "written_params",
]
