"""The ODinW challenge's file: names, nesting and fields as its README says, and one line on what is missing."""

from __future__ import annotations

import json

import pytest

from odinw_bench.datasets.registry import load_suite
from odinw_bench.report.evalai import official_names
from tests.report import made

ROW = {"image_id": 1, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5}


def put(results, tasks, seed=3, rows=(ROW,), **said):
    for task in tasks:
        one = made.spec(dataset=task, suite="odinw35", model="glip-t", seed=seed, **said)
        record = made.record(one, made.metrics(50.0))
        record["protocol"]["prompt_style"] = STYLES[task]
        made.write(results, record, list(rows))


STYLES = {task.name: task.prompt_style for task in load_suite("odinw35")}
ALL = list(STYLES)


def test_data_sets_are_called_by_their_official_folders():
    names = official_names("odinw35")
    assert len(names) == 35
    assert {task.name for task in names.values()} == set(ALL)
    assert {"Aquarium", "WildfireSmoke", "PascalVOC", "selfdrivingCar", "Packages", "thermalDogsAndPeople"} <= set(
        names
    )
    assert {name for name in names if name.startswith(("EgoHands", "Aerial", "OxfordPets"))} == {
        "EgoHands_generic",  # two tasks in one folder
        "EgoHands_specific",
        "AerialMaritimeDrone_large",
        "AerialMaritimeDrone_tiled",
        "OxfordPets_by-breed",
        "OxfordPets_by-species",
    }
    assert set(official_names("odinw13")) < set(names)


@pytest.mark.parametrize(
    ("track", "said"), [("zero", {"mode": "zero-shot"}), ("full", {"mode": "full", "shots": "all"})]
)
def test_zero_and_full_hold_a_list_per_data_set(tmp_path, cli, track, said):
    results, out = tmp_path / "results", tmp_path / "sent.json"
    put(results, ALL, rows=[ROW | {"area": 12}], **said)
    put(results, ALL[:2], mode="full", shots=5)  # of no track
    answer = cli("export", "evalai", "--track", track, "--results", results, "--out", out)
    assert answer.code == 0, answer.err
    assert "35 data sets" in answer.out
    content = json.loads(out.read_text())
    assert len(content) == 35
    assert content["WildfireSmoke"] == [ROW]


def test_few_shot_is_three_shots_by_seed(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "sent.json"
    for seed in (3, 30, 300):
        put(results, ALL, mode="prompt", shots=3, seed=seed, rows=[ROW | {"image_id": seed}])
    put(results, ALL[:1], mode="prompt", shots=3, seed=7)
    assert cli("export", "evalai", "--track", "3shot", "--results", results, "--out", out).code == 0
    content = json.loads(out.read_text())
    assert set(content["Raccoon"]) == {"3", "30", "300"}
    assert content["Raccoon"]["30"] == [ROW | {"image_id": 30}]


def test_one_line_names_what_is_missing(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "sent.json"
    for seed in (3, 30, 300):
        put(results, [name for name in ALL if name != "raccoon" and (name != "bccd" or seed == 3)],
            mode="full", shots=3, seed=seed)  # fmt: skip
    command = ("export", "evalai", "--track", "3shot", "--results", results, "--out", out)
    answer = cli(*command)
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert "2 data sets are missing" in answer.err
    assert "BCCD (seed 30, 300), Raccoon (seed 3, 30, 300)" in answer.err
    assert not out.exists()
    answer = cli(*command, "--partial", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["missing"] == ["BCCD (seed 30, 300)", "Raccoon (seed 3, 30, 300)"]
    assert list(json.loads(out.read_text())["BCCD"]) == ["3"]


@pytest.mark.parametrize(("track", "how"), [("zero", "--mode zero-shot"), ("3shot", "--shots 3 --seed all")])
def test_what_makes_the_runs_of_a_track_is_said(tmp_path, cli, track, how):
    answer = cli("export", "evalai", "--track", track, "--results", tmp_path, "--out", tmp_path / "sent.json")
    assert f"'odinw-bench run --suite odinw35 {how}' makes them" in answer.refused()


def test_several_ways_are_not_mixed(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "sent.json"
    put(results, ALL, mode="full", shots="all")
    put(results, ALL, mode="linear", shots="all")
    command = ("export", "evalai", "--track", "full", "--results", results, "--out", out)
    answer = cli(*command)
    assert answer.code == 2
    assert "glip-t full, glip-t linear" in answer.err
    assert cli(*command, "--mode", "linear").code == 0
    for wrong in (("--track", "5shot"), ("--suite", "mini"), ("--mode", "prompt")):
        answer = cli(*command, *wrong)
        assert answer.code == 2
        assert len(answer.err.strip().splitlines()) == 1
