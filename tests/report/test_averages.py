"""Records to means: what counts, what is averaged, and over what."""

from __future__ import annotations

import json
import statistics

import pytest

from glip_core import InputError
from odinw_bench.report.averages import Config, average, common_tasks, difference, split_suites
from odinw_bench.report.load import load_runs
from tests.report.made import metrics, record, spec, write


def suite_of(results, name="mini"):
    return {suite.name: suite for suite in split_suites(load_runs(results))}[name]


def put(results, ap, **said):
    finished = said.pop("finished", "2025-01-01T00:01:00+00:00")
    digest = said.pop("digest", None)
    made = record(spec(**said), metrics(ap), finished=finished)
    return write(results, made | ({"digest": digest} if digest else {}))


def test_first_over_seeds_then_over_tasks(tmp_path):
    """Tasks weigh the same however many seeds they have."""
    for seed, ap in ((3, 10.0), (30, 20.0), (300, 60.0)):
        put(tmp_path, ap, dataset="aquarium", seed=seed)
    put(tmp_path, 90.0, dataset="packages", seed=3)
    row = suite_of(tmp_path).scores[Config("glip-nano", "", "prompt", "5")]
    mean = average(row)
    assert mean.ap == pytest.approx((30.0 + 90.0) / 2)  # all runs in one pot would give 45
    assert mean.seeds == (1, 3)
    assert mean.over_seeds is None  # only seed 3 has both tasks
    assert mean.over_tasks.count == 2


def test_prompts_of_another_style_are_configurations_of_their_own_for_every_detector(tmp_path):
    """Also where the name does not say whether a detector reads prompts: somebody asked for that style then."""
    models = ("glip-t", "grounding-dino-t", "gdino-nano", "hf-owner-detector", "plug-in")
    for place, model in enumerate(models):
        for ap, style in ((50.0, "names"), (60.0, "written")):
            said = spec("raccoon", model, "zero-shot", suite="odinw13")
            said |= {"prompt_style": style} if style == "written" else {}
            made = record(said, metrics(ap + place))
            write(tmp_path, made | {"protocol": made["protocol"] | {"prompt_style": style}})
    # Of a class head names are recorded, though the official file of the task has a written prompt.
    made = record(spec("aquarium", "hf-class-head", "full", suite="odinw13"), metrics(40.0))
    write(tmp_path, made | {"protocol": made["protocol"] | {"prompt_style": "names"}})
    scores = suite_of(tmp_path, "odinw13").scores
    for place, model in enumerate(models):
        variants = {config.variant: average(row).ap for config, row in scores.items() if config.model == model}
        assert variants == {"": 50.0 + place, "written prompts": 60.0 + place}
    assert [config.variant for config in scores if config.model == "hf-class-head"] == [""]


def test_the_spread_over_seeds_is_that_of_the_means_over_tasks(tmp_path):
    values = {("aquarium", 3): 10.0, ("aquarium", 30): 14.0, ("packages", 3): 50.0, ("packages", 30): 60.0}
    for (dataset, seed), ap in values.items():
        put(tmp_path, ap, dataset=dataset, seed=seed)
    mean = average(suite_of(tmp_path).scores[Config("glip-nano", "", "prompt", "5")])
    assert mean.over_seeds.mean == mean.ap == pytest.approx(33.5)
    assert mean.over_seeds.sample_std == pytest.approx(statistics.stdev([30.0, 37.0]))


def test_runs_that_differ_in_anything_are_not_averaged(tmp_path):
    put(tmp_path, 10.0)
    put(tmp_path, 20.0, overrides={"lr": 0.5})
    put(tmp_path, 30.0, protocol="quick-1")
    put(tmp_path, 40.0, weights="/models/mine.pth")
    put(tmp_path, 50.0, precision="bf16")
    put(tmp_path, 60.0, eval_split="val")
    put(tmp_path, 70.0, mode="manual", attributes="a/best.yaml")
    put(tmp_path, 80.0, mode="manual")
    rows = [pair for suite in split_suites(load_runs(tmp_path)) for pair in suite.scores.items()]
    found = {config.variant: average(row).ap for config, row in rows if row}
    variants = {config.model_name: average(row).ap for config, row in rows if config.mode == "prompt"}
    assert variants == {
        "glip-nano": 10.0,
        "glip-nano (lr=0.5)": 20.0,
        "glip-nano (quick-1)": 30.0,
        "glip-nano (weights mine.pth)": 40.0,
        "glip-nano (bf16)": 50.0,
        "glip-nano (on val)": 60.0,
    }
    assert found["attributes best.yaml"] == 70.0


def test_runs_on_another_split_are_a_suite_of_their_own(tmp_path):
    put(tmp_path, 10.0)
    put(tmp_path, 30.0, eval_split="val")
    put(tmp_path, 20.0, dataset="raccoon", suite="odinw13")
    for dataset, split in (("raccoon", "val"), ("egohands", "minival")):  # the official splits of the two
        put(tmp_path, 40.0, dataset=dataset, suite="odinw13", eval_split=split)
    suites = split_suites(load_runs(tmp_path))
    assert [(suite.name, suite.base, suite.split) for suite in suites] == [
        ("mini", "mini", "on test"),
        ("mini, on val", "mini", "on val"),
        ("odinw13", "odinw13", "on test"),
        ("odinw13, on the official split", "odinw13", "on the official split"),
    ]
    assert [average(row).ap for suite in suites for row in suite.scores.values()] == [10.0, 30.0, 20.0, 40.0]
    assert [list(suite.others) for suite in suites[:2]] == [["on val"], ["on test"]]
    put(tmp_path / "alone", 30.0, eval_split="val")
    (alone,) = split_suites(load_runs(tmp_path / "alone"))
    assert (alone.name, alone.split, alone.others) == ("mini", "", [])


def test_weights_of_one_name_but_other_content_are_told_apart(tmp_path):
    write(tmp_path, record(spec(), metrics(10.0), weights_sha256="a" * 64))
    write(tmp_path, record(spec(seed=30), metrics(20.0), weights_sha256="b" * 64))
    names = [config.model_name for config in suite_of(tmp_path).scores]
    assert names == ["glip-nano (weights aaaaaaaa)", "glip-nano (weights bbbbbbbb)"]


def test_of_two_runs_of_one_cell_the_newest_counts(tmp_path):
    put(tmp_path, 10.0, digest="a" * 64, finished="2025-01-02T00:00:00+00:00")
    put(tmp_path, 20.0, digest="b" * 64, finished="2025-01-01T00:00:00+00:00")
    runs = load_runs(tmp_path)
    assert list(runs.done["AP"]) == [10.0]
    assert any("prompt-5shot-seed3-bbbbbbbb" in note and "newer" in note for note in runs.notes)


def test_seeds_of_what_tunes_nothing_are_no_repetition(tmp_path):
    put(tmp_path, 10.0, mode="zero-shot", seed=3)
    put(tmp_path, 10.0, mode="zero-shot", seed=30, finished="2025-01-02T00:00:00+00:00")
    row = suite_of(tmp_path).scores[Config("glip-nano", "", "zero-shot", "0")]
    assert list(row["packages"].seeds) == [30]
    assert average(row).over_seeds is None  # an interval of width 0 would be a lie


def test_only_common_tasks_are_compared(tmp_path):
    for dataset in ("aquarium", "packages", "pothole"):
        put(tmp_path, 40.0, dataset=dataset, mode="linear")
        if dataset != "pothole":
            put(tmp_path, 10.0, dataset=dataset)
    put(tmp_path, 90.0, dataset="raccoon", mode="full")  # has no task of the others
    scores = suite_of(tmp_path).scores
    tasks, kept = common_tasks(scores)
    assert tasks == ["aquarium", "packages"]
    assert [config.mode for config in kept] == ["prompt", "linear"]
    by_mode = {config.mode: row for config, row in scores.items()}
    assert difference(by_mode["linear"], by_mode["prompt"]).count == 2
    assert difference(by_mode["linear"], by_mode["prompt"]).mean == 30.0
    assert difference(by_mode["full"], by_mode["prompt"]) is None
    assert common_tasks({}) == ([], [])


def test_configurations_stand_in_the_order_of_ladder_mode_and_shots(tmp_path):
    for model, mode, shots in (
        ("dyhead-nano", "linear", 1),
        ("glip-nano", "linear", "all"),
        ("glip-nano", "linear", 10),
        ("glip-nano", "linear", 3),
        ("glip-nano", "zero-shot", 0),
        ("glip-nano-a", "prompt", 1),
        ("another detector", "external", 0),
    ):
        put(tmp_path, 1.0, model=model, mode=mode, shots=shots)
    assert [config.name for config in suite_of(tmp_path).scores] == [
        "glip-nano-a prompt 1-shot",
        "glip-nano zero-shot",
        "glip-nano linear 3-shot",
        "glip-nano linear 10-shot",
        "glip-nano linear all-shot",
        "dyhead-nano linear 1-shot",
        "another detector external",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        {"spec": {"model": "glip-nano"}},
        {"spec": None},
        {"status": "maybe"},
        {"metrics": {"AP50": 3.0}},
        {"metrics": {"AP": "high"}},
        {"cost": [1]},
    ],
)
def test_a_damaged_record_is_passed_over_with_a_note(tmp_path, damage):
    good = put(tmp_path, 50.0, dataset="aquarium")
    bad = put(tmp_path, 10.0, dataset="packages")
    write_back(bad, damage)
    runs = load_runs(tmp_path)
    assert list(runs.done["folder"]) == [str(good.relative_to(tmp_path))]
    assert [note for note in runs.notes if str(bad.relative_to(tmp_path)) in note and "passed over" in note]


def write_back(folder, changes):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_without_ap_is_no_zero(tmp_path):
    put(tmp_path, 50.0, dataset="aquarium")
    nothing = put(tmp_path, 0.0, dataset="packages")
    write_back(nothing, {"metrics": metrics(0.0) | {"AP": None, "AP50": None, "per_class": {"package": None}}})
    runs = load_runs(tmp_path)
    assert list(runs.done["dataset"]) == ["aquarium"]
    assert any("no AP" in note for note in runs.notes)


def test_other_test_data_are_pointed_out(tmp_path):
    write(tmp_path, record(spec(), metrics(10.0), sha256="a" * 64))
    write(tmp_path, record(spec(mode="linear"), metrics(10.0), sha256="b" * 64))
    assert any("2 versions of its data (aaaaaaaa, bbbbbbbb)" in note for note in load_runs(tmp_path).notes)


def test_no_records_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"no run records in .*odinw-bench run"):
        load_runs(tmp_path)
    with pytest.raises(InputError, match="not found"):
        load_runs(tmp_path / "nowhere")
