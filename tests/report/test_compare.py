"""``odinw-bench compare``: two runs in words."""

from __future__ import annotations

import json

import pytest

from odinw_bench import evaluate
from odinw_bench.metrics.stats import paired_bootstrap
from tests.report import made

FAST = ("--samples", "100")


@pytest.fixture
def two(tmp_path):
    good = made.write_drawn(tmp_path, 0.9, dataset="aquarium", mode="prompt")
    poor = made.write_drawn(tmp_path, 0.3, dataset="aquarium", mode="zero-shot")
    return good, poor


def test_words_and_json_are_those_of_the_bootstrap(cli, two):
    good, poor = two
    split = made.drawn("aquarium")
    found = [json.loads((folder / "predictions.json").read_text()) for folder in two]
    want = paired_bootstrap(split.annotations, *found, 100, 0)
    answer = cli("compare", good, poor, *FAST)
    assert answer.code == 0, answer.err
    assert "A: glip-nano prompt 5-shot" in answer.out
    words = (
        f"A is better than B by {want.difference:.1f} AP (95 % interval {want.low:.1f} to {want.high:.1f}; better in"
    )
    assert words in answer.out
    assert "100 resamples of 40 test images of mini/aquarium" in answer.out
    shown = json.loads(cli("compare", poor, good, *FAST, "--json").out)
    assert shown["words"].startswith(f"B is better than A by {want.difference:.1f} AP (95 % interval {want.low:.1f} to")
    assert shown["pairs"][0]["difference"] == pytest.approx(-want.difference)
    assert shown["pairs"][0]["AP_b"] - shown["pairs"][0]["AP_a"] == pytest.approx(want.difference, abs=1e-6)


def test_no_clear_difference_is_called_that(cli, tmp_path):
    one = made.write_drawn(tmp_path, 0.6, dataset="aquarium", seed=3)
    other = made.write_drawn(tmp_path, 0.6, dataset="aquarium", seed=30)
    said = cli("compare", one, other, *FAST).out
    assert "No clear difference: A minus B is" in said
    assert "A: glip-nano prompt 5-shot, seed 3\nB: glip-nano prompt 5-shot, seed 30\n" in said
    assert "A and B are equal" in cli("compare", one, one, *FAST).out


def test_groups_are_paired_by_task_and_seed(cli, tmp_path):
    for dataset in ("aquarium", "packages"):
        made.write_drawn(tmp_path, 0.4, dataset=dataset, mode="zero-shot")
        for seed in (3, 30):
            made.write_drawn(tmp_path, 0.9, dataset=dataset, seed=seed)
    made.write_drawn(tmp_path, 0.9, dataset="pothole")
    tuned, names = tmp_path / "mini/glip-nano/*/prompt-5shot-*", tmp_path / "mini/glip-nano/*/zero-shot-*"
    shown = json.loads(cli("compare", tuned, names, *FAST, "--json").out)
    assert [(pair["dataset"], "seed30" in pair["a"]) for pair in shown["pairs"]] == [
        ("aquarium", False),
        ("aquarium", True),
        ("packages", False),
        ("packages", True),
    ]
    means = [sum(pair["difference"] for pair in shown["pairs"][i : i + 2]) / 2 for i in (0, 2)]
    assert shown["over_tasks"]["mean"] == pytest.approx(sum(means) / 2)
    assert shown["over_tasks"]["count"] == 2
    assert shown["unpaired"] == ["mini/pothole: seeds 3 are on one side only"]
    answer = cli("compare", tuned, names, *FAST)
    assert "over 2" in answer.out
    assert "of 4 pairs A is clearly better in 4, B in 0" in answer.out
    assert "left out: mini/pothole" in answer.out


def test_tuned_runs_of_other_seeds_are_not_paired(cli, tmp_path):
    """One tuned run is of its own subset: it is no partner of the runs on other subsets."""
    one = made.write_drawn(tmp_path, 0.5, dataset="aquarium", mode="linear", seed=3)
    for seed in (30, 300):
        made.write_drawn(tmp_path, 0.5, dataset="aquarium", seed=seed)
    others = tmp_path / "mini/glip-nano/aquarium/prompt-5shot-*"
    assert "no data set and seed in common: A is mini/aquarium seed 3, B" in cli("compare", one, others).refused()
    made.write_drawn(tmp_path, 0.5, dataset="aquarium", seed=3)
    shown = json.loads(cli("compare", others, one, *FAST, "--json").out)
    assert [(pair["b"], "seed3-" in pair["a"]) for pair in shown["pairs"]] == [(str(one), True)]
    assert shown["unpaired"] == ["mini/aquarium: seeds 30, 300 are on one side only"]


def test_groups_that_are_level_are_called_that(cli, tmp_path):
    """With one task there is no interval to tell a difference of zero by."""
    for seed in (3, 30):
        made.write_drawn(tmp_path, 0.5, dataset="aquarium", seed=seed)
    runs = tmp_path / "mini/glip-nano/aquarium/prompt-5shot-*"
    said = cli("compare", runs, runs, *FAST).out.splitlines()[-1]
    words = "A and B are level: they differ by 0.0 AP on average over 1 task"
    assert said == f"{words} (of 2 pairs A is clearly better in 0, B in 0)."


def test_what_cannot_be_compared_is_refused(cli, tmp_path, two):
    good, poor = two
    other = made.write_drawn(tmp_path, 0.5, dataset="packages")
    assert "no data set and seed in common" in cli("compare", good, other).refused()
    assert "no run at" in cli("compare", good, tmp_path / "nothing-*").refused()
    assert "two runs of mini/aquarium" in cli("compare", tmp_path, good).refused()

    failed = made.write(tmp_path, made.record(made.spec(mode="full"), error="RuntimeError: no paper"))
    assert "no paper" in cli("compare", failed, good).refused()

    split = made.drawn("aquarium")
    foreign = made.record(made.spec(dataset="aquarium", mode="full"), evaluate(split.annotations, []), sha256="0" * 64)
    assert "tested on different data" in cli("compare", good, made.write(tmp_path, foreign, [])).refused()
    (poor / "predictions.json").unlink()
    assert "'predictions.json' is missing" in cli("compare", good, poor).refused()
