"""``run --profile-official``: what a person compares with the official configuration, without any data."""

from __future__ import annotations

import json

import pytest

from glip_core import Prompt


@pytest.fixture
def official(shared):
    facts = json.loads((shared / "odinw" / "datasets.json").read_text(encoding="utf-8"))
    return {"odinw13": facts["odinw_13"], "odinw35": facts["odinw_35"]}


def test_captions_splits_and_files_are_the_official_ones(cli, official):
    answer = cli("run", "--profile-official", "--mode", "full", "--shots", "5", "--eval-split", "official", "--json")
    assert answer.code == 0, answer.err
    profiles = json.loads(answer.out)
    assert [profile["suite"] for profile in profiles] == ["odinw13", "odinw35"]
    for profile in profiles:
        theirs = {one["config"]: one for one in official[profile["suite"]]}
        assert {one["config"] for one in profile["tasks"]} == set(theirs)
        for ours in profile["tasks"]:
            one = theirs[ours["config"]]
            assert (ours["prompt"] == "written") == (one["caption_prompt"] is not None)
            if one["caption_prompt"] is None:
                assert ours["caption"] == Prompt.from_classes(one["classes"]).caption
            if "train_5_3" in one["fewshot_splits"]:
                assert ours["train"] == "train: " + one["fewshot_splits"]["train_5_3"].removeprefix("odinw/")
            split = ours["test"].partition(":")[0]
            assert ours["test"] == f"{split}: " + one["splits"][split]["annotations"].removeprefix("odinw/")
    minival = {one["config"] for one in profiles[0]["tasks"] if one["test"].startswith("minival")}
    assert minival == {"EgoHands_generic", "VehiclesOpenImages_416x416"}


def test_sizes_thresholds_and_recipe_are_the_official_ones(cli):
    answer = cli("run", "--profile-official", "--suite", "odinw13", "--mode", "prompt", "--shots", "1", "--json")
    (profile,) = json.loads(answer.out)
    shared = profile["shared"]
    assert (shared["shorter side"], shared["longer side at most"], shared["padded to multiples of"]) == (800, 1333, 32)
    assert (shared["class score above"], shared["kept per level"]) == (0.05, 1000)
    assert (shared["NMS IoU"], shared["kept per image"], shared["tokens at most"]) == (0.6, 100, 256)
    assert (shared["lr"], shared["weight_decay"], shared["epochs"], shared["repeats_per_epoch"]) == (0.05, 0.25, 200, 8)
    assert (shared["step_patience"], shared["stop_patience"], shared["batch"]) == (3, 8, 4)
    assert shared["weights"] == "glip_tiny_model_o365_goldg_cc_sbu.pth"


def test_a_person_can_read_it(cli):
    answer = cli("run", "--profile-official", "--mode", "zero-shot")
    assert answer.code == 0
    assert "there is a package on the porch" in answer.out
    assert "shorter side 800" in answer.out
    assert "fewshot" not in answer.out  # nothing is tuned


def test_slips_are_one_line(cli):
    for options in (("--shots", "1,5"), ("--model", "glip-nano-a"), ("--mode", "poem")):
        answer = cli("run", "--profile-official", *options)
        assert answer.code == 2
        assert len(answer.err.strip().splitlines()) == 1
