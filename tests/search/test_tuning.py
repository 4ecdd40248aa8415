"""The search for hyper-parameters through the program."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import RECORDED, hyperparameters
from odinw_bench.runs.record import find_records
from odinw_bench.search.recipe import NumberedSampler, RecipeSpace, in_words
from odinw_bench.search.settings import SearchSettings
from odinw_bench.search.tuning import begin_tuning, set_up_tuning, work_tuning
from tests.search.test_search import search_json

SMALL = ("search", "--dataset", "packages", "--space", "tuning", "--shots", "1", "--mode", "linear")


@pytest.mark.integration
def test_it_ends_with_a_recipe_that_run_takes(cli, tmp_path):
    results = tmp_path / "results"
    answer = cli(*SMALL, "--trials", "4", "--results", results)
    assert answer.code == 0, answer.err
    content, folder = search_json(results)
    base, best = content["recipes"]["the protocol's"], content["recipes"]["best found"]
    assert content["trials"][0]["given"] == "the protocol's" and content["trials"][0]["overrides"] == {}
    assert best["search_AP"] == max(trial["AP"] for trial in content["trials"] if trial["AP"] is not None)
    records = {record["digest"]: record for _, record in find_records(results)}
    assert set(records) == {base["digest"], best["digest"]}
    for recipe in (base, best):  # a trial is the run itself
        record = records[recipe["digest"]]
        assert record["cost"]["validation_AP"] == recipe["search_AP"]
        assert record["metrics"]["AP"] == recipe["test_AP"]
        assert record["spec"]["overrides"] == recipe["overrides"]
    assert (folder / "history.png").stat().st_size > 5000
    assert "validation images; the test split is not" in answer.err and "on the test split" in answer.out
    out = tmp_path / "report"
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    assert "| linear | 4 |" in (out / "report.md").read_text().partition("Searches for hyper-parameters")[2]
    assert cli(*SMALL, "--trials", "5", "--results", results, "--workers", "2", "--quiet").code == 0  # it goes on
    assert len(search_json(results)[0]["trials"]) in (5, 6)  # two workers may end their last trials at once


def test_what_cannot_be_searched_is_one_line(cli, tmp_path):
    refused = ("search", "--dataset", "packages", "--results", tmp_path)
    assert "tunes nothing" in cli(*refused, "--space", "tuning", "--mode", "manual").refused()
    assert "unknown mode" in cli(*refused, "--space", "tuning", "--mode", "half").refused()
    assert "unknown --space 'tunning'" in cli(*refused, "--space", "tunning").refused()
    assert "needs a model that reads one" in cli(*refused, "--space", "tuning", "--model", "dyhead-nano").refused()


def test_recipes_lie_around_the_protocols():
    base = hyperparameters("odinw-glip-1", "prompt", 5)
    space = RecipeSpace(base)
    assert space.overrides(space.plain()) == {}
    found = space.overrides({"lr": 0.0123456, "weight_decay": 0.25, "epochs": 120, RECORDED["repeats_per_epoch"]: 2})
    assert found == {"lr": 0.0123, "epochs": 120}
    assert in_words(found) == "lr=0.0123,epochs=120"
    assert in_words({RECORDED["repeats_per_epoch"]: 4}) == "repeats_per_epoch=4"  # whatever the study calls it
    assert hyperparameters("odinw-glip-1", "prompt", 5, found).epochs == 120
    assert all(one.low <= space.plain()[name] <= one.high for name, one in space.distributions.items())


def test_where_a_least_number_of_steps_overrules_the_repeats_it_is_searched():
    base = hyperparameters("mini-2", "prompt", 5)
    space = RecipeSpace(base)
    assert set(space.distributions) == {"lr", "weight_decay", "epochs", "min_steps_per_epoch"}
    assert all(one.low <= space.plain()[name] <= one.high for name, one in space.distributions.items())
    lengths = {Length.of(5, replace(base, min_steps_per_epoch=steps)).total for steps in (4, 15, 30)}
    assert len(lengths) == 3


@pytest.mark.parametrize("protocol", ["odinw-glip-1", "mini-2"])
@pytest.mark.parametrize("mode", ["bias", "norm", "lora", "dora", "full"])
def test_the_protocols_own_recipe_can_be_tried_whatever_its_weight_decay(protocol, mode):
    """Some tune without any; a logarithmic scale has no place for 0."""
    base = hyperparameters(protocol, mode, 5)
    space = RecipeSpace(base)
    study = optuna.create_study(direction="maximize", sampler=NumberedSampler(space, 3))
    study.enqueue_trial(space.plain())
    study.optimize(lambda trial: float(len(space.suggest(trial))), n_trials=2)
    first, second = (space.overrides(trial.params) for trial in study.get_trials())
    assert first == {} and second
    assert ("weight_decay" in space.distributions) == (base.weight_decay > 0)


def test_two_studies_that_go_on_do_not_repeat_draws():
    """Workers share a seed, so a sampler that started over in each would try the same recipes twice."""
    space = RecipeSpace(hyperparameters("mini-1", "full", 5))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
    for _ in range(12):
        study = optuna.load_study(study_name="s", storage=storage, sampler=NumberedSampler(space, 3))
        study.optimize(lambda trial: -abs(trial.suggest_float("lr", 1e-4, 1e-2, log=True) - 1e-3), n_trials=1)
    drawn = [trial.params["lr"] for trial in study.get_trials()]
    assert len(set(drawn)) == 12


def test_a_recipe_that_diverges_is_recorded_and_the_rest_goes_on(tmp_path, monkeypatch):
    from odinw_bench.engine.train import DivergedError

    search = set_up_tuning(SearchSettings("packages", shots=1, trials=3, results=tmp_path, space="tuning"))
    tried = []

    def diverge_once(search, overrides, trial):
        tried.append(overrides)
        if len(tried) == 2:
            raise DivergedError("the loss became nan")
        return 10.0 * len(tried)

    monkeypatch.setattr("odinw_bench.search.tuning._tune", diverge_once)
    begin_tuning(search)
    work_tuning(search)
    states = [trial.state.name for trial in search.study().get_trials()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]
    assert tried[0] == {}


@pytest.mark.slow
def test_a_bad_recipe_is_given_up_early(tmp_path):
    search = set_up_tuning(SearchSettings("packages", shots=5, trials=24, results=tmp_path, space="tuning"))
    begin_tuning(search)
    work_tuning(search)
    assert any(trial.state.name == "PRUNED" for trial in search.study().get_trials())
