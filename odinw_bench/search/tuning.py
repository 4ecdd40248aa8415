"""Searching for hyper-parameters: a trial is a whole tuning run, evaluated on the validation split."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import MaxTrialsCallback, Study
from optuna.trial import Trial, TrialState

from odinw_bench.engine.cache_settings import CacheSettings
from odinw_bench.engine.feature_store import make_cache
from odinw_bench.engine.features import FeatureCache
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.engine.train import DivergedError, tune
from odinw_bench.models import find_mode
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.environment import arithmetic
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.work import load_tunable
from odinw_bench.search.recipe import NumberedSampler, RecipeSpace, in_words
from odinw_bench.search.settings import SearchSettings
from odinw_bench.search.study import (
    BEST,
    FINISHED,
    GIVEN,
    SCHEMA,
    best_trial,
    enqueue,
    given_trial,
    open_storage,
    open_study,
    trial_rows,
)
from odinw_bench.search.testing import run_once_free
from odinw_bench.search.workers import WORKER, whole, working
from odinw_bench.utils.io import canonical_json, sha256_bytes, write_json

ENOUGH = 10
"""Finished trials below which nothing is said about what mattered."""

PROTOCOL = "the protocol's"
Say = Callable[[str], None]


@dataclass(frozen=True)
class TuningSearch:
    """A search for hyper-parameters that is set up: what every worker of it needs.

    Attributes:
        settings: as given.
        prepared: the run with the protocol's own hyper-parameters.
        space: the recipes that may be tried.
        name: of the study.
        folder: of its files.
        cache: of frozen features, which all trials share.
    """

    settings: SearchSettings
    prepared: Cell
    space: RecipeSpace
    name: str
    folder: Path
    cache: FeatureCache = field(default_factory=lambda: make_cache(CacheSettings()))

    def study(self) -> Study:
        """The study, from its storage."""
        storage = open_storage(self.settings.storage, self.folder)
        return open_study(storage, self.name, NumberedSampler(self.space, self.settings.seed))


def set_up_tuning(settings: SearchSettings) -> TuningSearch:
    """Look everything up.

    Raises:
        InputError: the task, its data, the model, its weights or the mode cannot be used.
    """
    prepared = prepare(settings.spec(), settings.results, data_root=settings.data_root)
    assert prepared.settings is not None
    space = RecipeSpace(prepared.settings)
    ranges = {name: [one.low, one.high] for name, one in space.distributions.items()}
    digest = sha256_bytes(canonical_json([prepared.digest, ranges]))[:8]
    task = prepared.task
    run_name = f"{settings.mode}-tuning-{settings.shots}shot-seed{settings.seed}-{digest}"
    name = f"{task.suite}/{prepared.facts.name}/{task.name}/{run_name}"
    return TuningSearch(settings, prepared, space, name, settings.results / "search" / name)


def begin_tuning(search: TuningSearch) -> None:
    """Have the protocol's own hyper-parameters tried first."""
    enqueue(search.study(), search.space.plain(), PROTOCOL)


def work_tuning(search: TuningSearch, say: Say = lambda _: None) -> None:
    """Try recipes until the study is complete, together with all other workers of the study.

    A recipe is given up when its validation AP after some epoch is below the median of the others' by then; one
    whose loss diverges counts as failed.
    """
    settings, study = search.settings, search.study()

    def objective(trial: Trial, worker: str) -> float:
        trial.set_user_attr(WORKER, worker)
        overrides = search.space.suggest(trial)
        words = in_words(overrides)
        trial.set_user_attr("caption", words or PROTOCOL)
        trial.set_user_attr("overrides", overrides)
        started = time.perf_counter()
        try:
            ap = _tune(search, overrides, trial)
        except DivergedError as error:
            say(f"trial {trial.number + 1}: {error}")
            raise
        finally:
            trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
        say(f"trial {trial.number + 1}: validation AP {ap:.1f}  {words or PROTOCOL}")
        return ap

    if len(study.get_trials(deepcopy=False, states=FINISHED)) < settings.trials:
        with arithmetic(search.prepared.facts, settings.device), working(study, search.folder) as worker:
            study.optimize(
                whole(lambda trial: objective(trial, worker), DivergedError),
                timeout=settings.timeout,
                callbacks=[MaxTrialsCallback(settings.trials, states=FINISHED)],
                catch=(DivergedError,),
            )


def _tune(search: TuningSearch, overrides: dict[str, Any], trial: Trial) -> float:
    """Validation AP of a recipe."""
    prepared, spec = search.prepared, search.prepared.spec
    assert prepared.train is not None
    assert prepared.validation is not None
    model = load_tunable(prepared, search.settings.device)

    def report(line: dict[str, Any]) -> None:
        if line["validation_AP"] is not None:
            trial.report(line["validation_AP"], step=line["epoch"])
            if GIVEN not in trial.user_attrs and trial.should_prune():
                raise optuna.TrialPruned

    tuned = tune(
        model,
        find_mode(spec.mode),
        prepared.prompt,
        prepared.train,
        prepared.validation,
        hyperparameters(spec.protocol_name, spec.mode, spec.shots, overrides, model=spec.model),
        seed=spec.seed,
        precision=spec.precision,
        cache=search.cache,
        on_epoch=report,
    )
    return tuned.best_ap


def conclude_tuning(search: TuningSearch, say: Say) -> dict[str, Any]:
    """Run the protocol's and the best recipe on the test split, write ``search.json``.

    Returns:
        its content: ``recipes`` (per recipe its ``overrides``, AP on the validation and on the test split, and its
        record's digest), ``importance`` (each hyper-parameter's share in the changes of AP; None where the trials
        are too few) and ``trials``.
    """
    settings, study = search.settings, search.study()
    best = best_trial(study)
    say("testing the protocol's hyper-parameters and the best found")
    recipes: dict[str, dict[str, Any]] = {}
    given = given_trial(study, PROTOCOL)
    for what, trial in ((PROTOCOL, given), (BEST, best)):
        overrides = {} if trial is None else dict(trial.user_attrs["overrides"])
        spec = settings.spec(overrides=overrides)
        record = run_once_free(spec, settings, say)
        recipes[what] = {
            "overrides": overrides,
            "search_AP": None if trial is None else trial.value,
            "test_AP": record.ap,
            "digest": record.digest,
        }
    task = search.prepared.task
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "search",
        "space": "tuning",
        "spec": settings.spec().to_json() | {"suite": task.suite, "dataset": task.name},
        "images": {"searched_on": len(search.prepared.validation or ())},
        "recipes": recipes,
        "importance": _importance(study),
        "trials": trial_rows(study, overrides="overrides"),
    }
    write_json(search.folder / "search.json", content)
    return content


def _importance(study: Study) -> dict[str, float] | None:
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < ENOUGH:
        return None
    try:
        found = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError):  # all of one value
        return None
    shares = {name: round(float(share), 4) for name, share in found.items()}
    return shares if all(share == share for share in shares.values()) else None
