"""The official recipe in numbers, and overriding it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glip_core import InputError
from odinw_bench.engine.protocol_files import contents
from odinw_bench.engine.recipes import RECORDED, check_overrides, current_name, hyperparameters
from odinw_bench.models import model_facts
from odinw_bench.runs.spec import PROTOCOLS, RunSpec, newest_protocol


def test_the_official_recipe(shared):
    """Against the recipe as published."""
    recipe = json.loads((shared / "odinw" / "published.json").read_text())["recipe"]
    repository = recipe["repository"]
    for shots, copies in repository["copies_by_shots"].items():
        for mode, key in (("full", "full"), ("linear", "linear"), ("prompt", "prompt")):
            settings = hyperparameters("odinw-glip-1", mode, shots if shots == "all" else int(shots))
            assert settings.repeats_per_epoch == copies
            assert settings.epochs == repository["epochs"]
            assert settings.batch == recipe[key]["batch"]
            assert settings.lr == recipe[key]["lr"]
            assert settings.weight_decay == recipe[key]["weight_decay"]
            few = "all" if shots == "all" else "few"
            assert settings.step_patience == repository["step_patience"][few]
            assert settings.stop_patience == repository["auto_terminate_patience"][few]
    assert hyperparameters("odinw-glip-1", "full", 5).language_lr == recipe["full"]["lr_text_encoder"]


def test_the_rest_of_the_official_recipe():
    """Numbers of training_spec.md that published.json does not repeat."""
    settings = hyperparameters("odinw-glip-1", "full", 5)
    assert settings.max_grad_norm == 1.0
    assert settings.min_lr == 1e-6
    assert settings.flip == 0.5
    assert [round(800 * scale) for scale in settings.scales] == [480, 560, 640, 720, 800]


def test_shots_between_the_official_ones():
    assert hyperparameters("odinw-glip-1", "full", 2).repeats_per_epoch == 8
    assert hyperparameters("odinw-glip-1", "full", 7).repeats_per_epoch == 2
    assert hyperparameters("odinw-glip-1", "full", 50).repeats_per_epoch == 1


@pytest.mark.parametrize("protocol", ["odinw-glip-1", "mini-2"])
@pytest.mark.parametrize("mode", ["lora", "dora", "prompt+lora"])
def test_low_rank_updates_of_the_language_learn_as_fast_as_others(protocol, mode):
    """They begin at nothing: at the rate of pre-trained weights they would stay there."""
    usual = hyperparameters(protocol, mode, 5)
    assert usual.language_lr == 1e-5  # as in the digests of runs without
    own = {"adapter_where": "language+heads", "lr": 0.02}
    found = hyperparameters(protocol, mode, 5, own)
    assert found.language_lr == found.lr == 0.02
    assert hyperparameters(protocol, mode, 5, own | {"language_lr": 1e-4}).language_lr == 1e-4
    assert hyperparameters(protocol, "prompt", 5, own).language_lr == 1e-5


def test_overrides_take_the_fields_kind():
    settings = hyperparameters(
        "mini-1", "prompt", 5, {"lr": "0.2", "epochs": "3", "scales": "0.5/1", "few_shot_validation": "true"}
    )
    assert (settings.lr, settings.epochs, settings.scales, settings.few_shot_validation) == (0.2, 3, (0.5, 1.0), True)
    again = hyperparameters("mini-1", "prompt", 5, settings.to_json())
    assert again == settings


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning_rate": 1}, "unknown hyper-parameter 'learning_rate'"),
        ({"epoch": 1}, "did you mean 'epochs'"),
        ({"lr": "fast"}, "'lr' wants a number of at least 0, not 'fast'"),
        ({"lr": "-1"}, "'lr' wants a number"),
        ({"lr": "nan"}, "'lr' wants a number"),
        ({"lr": "inf"}, "'lr' wants a number"),
        ({"lr": True}, "'lr' wants a number"),
        ({"flip": "1.5"}, "'flip' wants a number from 0 to 1"),
        ({"epochs": "0"}, "'epochs' wants a whole number of at least 1"),
        ({"epochs": "1.5"}, "'epochs' wants a whole number"),
        ({"epochs": 1.5}, "'epochs' wants a whole number"),
        ({"scales": "0.5/0"}, "'scales' wants numbers"),
        ({"scales": ""}, "'scales' wants numbers"),
        ({"few_shot_validation": "maybe"}, "wants true or false"),
        ({"train_precision": "fp8"}, "'train_precision' wants run or fp32 or bf16 or fp16, not 'fp8'"),
        ({"min_positives": 0}, "'min_positives' wants a whole number of at least 1"),
    ],
)
def test_bad_overrides(overrides, message):
    with pytest.raises(InputError, match=message):
        hyperparameters("mini-1", "prompt", 5, overrides)


def test_bad_names():
    with pytest.raises(InputError, match="did you mean 'mini-2'"):
        hyperparameters("mini", "prompt", 5)
    with pytest.raises(InputError, match="tunes nothing"):
        hyperparameters("mini-1", "zero-shot", 0)


def test_overrides_are_checked_where_nothing_is_tuned():
    check_overrides("mini-1", {"lr": "0.1"})
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        check_overrides("mini-1", {"epoch": 1})


def test_a_prompt_tuned_with_the_heads_moves_at_the_prompts_rate():
    for protocol in PROTOCOLS:
        alone, both = (hyperparameters(protocol, mode, 5) for mode in ("prompt", "prompt+linear"))
        assert both.lr * both.offset_factor == pytest.approx(alone.lr * alone.offset_factor)


def test_a_name_without_version_is_the_newest_and_recorded_in_full():
    assert newest_protocol("quick") == RunSpec(dataset="raccoon", protocol="quick").protocol_name == "quick-1"
    assert RunSpec(dataset="raccoon", protocol="quick") == RunSpec(dataset="raccoon", protocol="quick-1")
    assert newest_protocol("unheard-of") == "unheard-of"


def test_quick_is_the_official_recipe_cut_short():
    official, quick = (hyperparameters(name, "prompt", 5) for name in ("odinw-glip-1", "quick-1"))
    assert (quick.lr, quick.weight_decay, quick.repeats_per_epoch) == (
        official.lr,
        official.weight_decay,
        official.repeats_per_epoch,
    )
    assert quick.epochs < official.epochs / 10
    assert max(quick.scales) < 1


def test_runs_of_earlier_versions_keep_their_digest():
    """Fields were renamed since; what a digest is made of keeps the names of then."""
    from odinw_bench.runs.prepare import prepare
    from odinw_bench.runs.record import find_records

    wanted = {(mode, shots) for mode in ("prompt", "linear", "full") for shots in (1, "all")} | {("zero-shot", 0)}
    checked = 0
    for _, record in find_records(Path(__file__).parent / "records_of_0.1"):  # of packages, by mini-1
        spec = record["spec"]
        if (spec["mode"], spec["shots"]) not in wanted or spec["overrides"]:
            continue
        mine = {name: spec[name] for name in ("dataset", "model", "suite", "mode", "shots", "seed")}
        if spec["shots"] != 0:  # where something is tuned the default is another now
            mine["protocol"] = spec["protocol"]
        cell = prepare(RunSpec(**mine))
        assert cell.digest == record["digest"], mine
        if cell.settings is not None:
            assert cell.settings.to_json() == record["protocol"]["hyperparameters"]
        checked += 1
    assert checked >= 7


def test_fields_are_set_by_their_older_names_too():
    old, new = {"copies": 3, "clip": 0.5}, {"repeats_per_epoch": 3, "max_grad_norm": 0.5}
    assert hyperparameters("mini-1", "full", 5, old) == hyperparameters("mini-1", "full", 5, new)


def test_a_hyper_parameter_has_one_name_however_it_was_given():
    assert all(current_name(old) == current_name(new) == new for new, old in RECORDED.items())
    assert current_name("lr") == "lr"


def test_a_protocols_own_values_for_a_model_replace_those_of_all():
    found = 0
    for protocol, content in contents().items():
        for model, modes in content.get("models", {}).items():
            assert model_facts(model).name == model
            for mode, values in modes.items():
                own = hyperparameters(protocol, mode, 5, model=model).to_json()
                usual = hyperparameters(protocol, mode, 5).to_json()
                assert {name for name in own if own[name] != usual.get(name)} <= set(values)
                assert {name: own[name] for name in values} == values
                assert hyperparameters(protocol, mode, 5, {"lr": 0.5}, model=model).lr == 0.5
                found += 1
    assert found
