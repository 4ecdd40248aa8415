"""Grids as files: what --dry-run --json prints can be run again, and slips are one line."""

from __future__ import annotations

import json

import pytest

from tests.evaluation.made import write_coco, write_lvis

GRID = ("--dataset", "packages,raccoon", "--mode", "zero-shot,prompt", "--shots", "1,5", "--seed", "3,30")


def plan(cli, *arguments):
    answer = cli("run", *arguments, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_the_printed_grid_gives_the_same_cells(cli, tmp_path):
    printed = plan(cli, *GRID, "--set", "lr=0.02,scales=0.8/1.0", "--protocol", "quick", "--eval-split", "val")
    assert printed["grid"]["dataset"] == ["packages", "raccoon"]
    assert printed["grid"]["shots"] == [1, 5]
    assert printed["grid"]["set"] == {"lr": "0.02", "scales": "0.8/1.0"}
    assert len(printed["cells"]) == 2 + 2 * 2 * 2
    path = tmp_path / "grid.json"
    for content in (printed, printed["grid"]):  # what was printed as it is, and its grid alone
        path.write_text(json.dumps(content))
        assert plan(cli, "--config", path) == printed


def test_all_is_printed_by_name(cli):
    grid = plan(cli, "--mode", "all", "--model", "dyhead-nano,glip-nano", "--seed", "all")["grid"]
    assert len(grid["dataset"]) == 13
    assert "zero-shot" in grid["mode"]
    assert grid["seed"] == [3, 30, 300]


def test_a_file_by_hand(cli, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(
        "dataset: packages\nmode: [prompt, full]\nshots: [1, all]\nseed: 30\neval-split: val\ncheckpointing: true\n"
        "set: {lr: 0.02, scales: [0.8, 1.0], few_shot_validation: true}\ncache-gb: 0.5\n"
    )
    options = ("--dataset", "packages", "--mode", "prompt,full", "--shots", "1,all", "--seed", "30")
    options += ("--eval-split", "val", "--set", "lr=0.02,scales=0.8/1.0,few_shot_validation=true")
    assert plan(cli, "--config", path)["cells"] == plan(cli, *options)["cells"]


def test_the_command_line_goes_before_the_file(cli, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("dataset: [packages, raccoon]\nmode: [full]\nshots: 10\n")
    grid = plan(cli, "--mode", "prompt", "--config", path, "--shots", "1,3")["grid"]
    assert (grid["dataset"], grid["mode"], grid["shots"]) == (["packages", "raccoon"], ["prompt"], [1, 3])


def test_the_file_goes_before_the_environment(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("ODINW_DATA_ROOT", str(tmp_path / "of-the-environment"))
    path = tmp_path / "grid.yaml"
    path.write_text(f"suite: odinw13\nmodel: glip-t\ndata-root: {tmp_path / 'of-the-file'}\n")
    command = ("run", "--mode", "zero-shot", "--dataset", "Raccoon", "--config", path, "--dry-run")
    assert "of-the-file" in cli(*command).refused()
    assert "of-the-command" in cli(*command, "--data-root", tmp_path / "of-the-command").refused()
    path.write_text("suite: odinw13\nmodel: glip-t\n")
    assert "of-the-environment" in cli(*command).refused()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("shot: 5", "unknown key 'shot'; did you mean 'shots'?"),
        ("dry-run: true", "unknown key 'dry-run'"),
        ("3: 4", "unknown key 3"),
        ("- prompt", "must map options to values"),
        ("mode: {prompt", "is not YAML"),
        ("force: 1", "force wants true or false, not 1"),
        ("workers: many", "workers: "),
        ("cache-gb: -1", "cache-gb: "),
        ("precision: [fp32]", "precision wants a text or a number, not ['fp32']"),
        ("seed: [[3]]", "seed wants a text or a number"),
        ("dataset: true", "dataset wants a text or a number, not True"),
        ("eval-split: a\neval_split: b", "gives 'eval_split' twice"),
        ("mode: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_slips_in_a_file(cli, tmp_path, content, message):
    path = tmp_path / "grid.yaml"
    path.write_text(content)
    line = cli("run", "--config", path, "--dry-run").refused()
    assert str(path) in line
    assert message in line


def test_a_missing_file(cli, tmp_path):
    assert "config file" in cli("run", "--config", tmp_path / "no.yaml").refused()


SEVERAL = """
seed: 3
grids:
  - {name: without tuning, mode: zero-shot, dataset: [packages, raccoon]}
  - {name: tuned, mode: prompt, dataset: packages, shots: [1, 5]}
"""


def test_several_grids_in_one_file(cli, tmp_path):
    path = tmp_path / "grids.yaml"
    path.write_text(SEVERAL)
    found = plan(cli, "--config", path, "--seed", "30")["grids"]
    assert [one["name"] for one in found] == ["without tuning", "tuned"]
    assert [len(one["cells"]) for one in found] == [2, 2]
    assert all(one["grid"]["seed"] == [30] for one in found)  # the command line goes before the file
    path.write_text(json.dumps({"grids": found}))  # what was printed can be run again
    assert plan(cli, "--config", path)["grids"] == found
    printed = cli("run", "--config", path, "--dry-run").out
    assert "tuned:\n" in printed
    assert "all 2 grids: 4 runs: 0 done, 4 to do" in printed


def test_a_grid_whose_data_are_missing_is_left_out_with_a_note(cli, tmp_path):
    path = tmp_path / "grids.yaml"
    path.write_text("suite: mini\n" + SEVERAL + "  - {name: real, suite: odinw13, model: glip-t, mode: zero-shot}\n")
    command = ("run", "--config", path, "--data-root", tmp_path / "none", "--dry-run")
    answer = cli(*command)
    assert answer.code == 0
    assert "left out: real: data root" in answer.err
    path.write_text("grids:\n  - {suite: odinw13, mode: zero-shot}\n  - {suite: odinw35, mode: zero-shot}\n")
    assert "none of the 2 grids can be run; grid 1: data root" in cli(*command).refused()


def test_a_grid_that_an_option_empties_is_left_out_with_a_note(cli, tmp_path):
    path = tmp_path / "grids.yaml"
    path.write_text(
        "dataset: packages\ngrids: [{name: untuned, mode: zero-shot}, {name: tuned, mode: [prompt, full], shots: 1}]\n"
    )
    command = ("run", "--config", path, "--dry-run", "--results", tmp_path / "r")
    answer = cli(*command, "--model", "dyhead-nano")
    assert answer.code == 0
    assert "left out: untuned: 'dyhead-nano' has a class head and no prompt" in answer.err
    assert "1 run: 0 done, 1 to do" in answer.out
    for slip in (("--model", "dyhead-nan"), ("--model", "dyhead-nano", "--precision", "fp23"), ("--mode", "ful")):
        assert cli(*command, *slip).refused().startswith("error: untuned: unknown ")
    assert "none of the 2 grids can be run" in cli(*command, "--model", "dyhead-nano", "--mode", "prompt").refused()


def test_a_cache_without_a_limit(cli, tmp_path):
    caches = ("--cache-gb", "inf", "--cache-disk-gb", "inf")
    answer = cli("run", "--dataset", "packages", "--dry-run", "--results", tmp_path / "r", *caches)
    assert answer.code == 0, answer.err


def test_a_run_of_several_grids_prints_one_table(cli, tmp_path):
    path = tmp_path / "grids.yaml"
    path.write_text("engine: local\ngrids: [{mode: zero-shot, dataset: packages}, {mode: manual, dataset: pistols}]\n")
    answer = cli("run", "--config", path, "--results", tmp_path / "results", "--quiet")
    assert answer.code == 0, answer.err
    assert answer.out.count("AP in percent") == 1


def test_suites_are_not_averaged_together(cli, pets, tmp_path):
    path = tmp_path / "grids.yaml"
    path.write_text(
        "engine: local\nmode: zero-shot\n"
        f"grids: [{{dataset: [packages, pistols]}}, {{suite: '{pets}', eval-split: val}}]\n"
    )
    answer = cli("run", "--config", path, "--results", tmp_path / "results", "--quiet")
    assert answer.code == 0, answer.err
    assert "mini: AP in percent on 'test'" in answer.out
    assert "pets: AP in percent on 'val'" in answer.out
    assert answer.out.count("mean of") == answer.out.count("mean of 2") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("grids: []", "grids must list mappings"),
        ("grids: {mode: full}", "grids must list mappings"),
        ("grids: [{engine: local}]", "grid 1: 'engine' is not an option of one grid alone"),
        ("grids: [{name: a, shots: x}]", "--shots wants"),
        ("{colour: red, grids: [{mode: full}]}", "unknown key 'colour'"),
        ("grids: [{mode: zero-shot}, {name: b, suite: odinw14}]", "b: unknown suite 'odinw14'"),
        ("grids: [{mode: zero-shot}, {name: b, model: glip-x}]", "b: unknown model"),
    ],
)
def test_grids_that_are_none(cli, tmp_path, content, message):
    path = tmp_path / "grids.yaml"
    path.write_text(content)
    assert message in cli("run", "--config", path, "--dry-run").refused()


def test_the_grids_of_the_paper(cli, tmp_path):
    """With COCO and LVIS made up and nothing else; a nano model stands for the full-size ones."""
    root = write_lvis(write_coco(tmp_path / "data"), name="lvis_v1_minival_inserted_image_name.json")
    command = ("run", "--suite", "all-paper", "--model", "glip-nano", "--dry-run")
    answer = cli(*command, "--json", "--data-root", root, "--results", tmp_path / "results")
    grids = {one["name"]: one for one in json.loads(answer.out)["grids"]}
    assert len(grids) == 11
    assert len(grids["table 2, COCO zero-shot"]["cells"]) == 1
    assert len(grids["table 3, LVIS minival"]["cells"]) == 1
    for name in ("table 4, Flickr30k test", "figure 4 and table 14, ODinW zero-shot"):
        assert "not found" in grids[name]["left_out"]
    line = cli(*command, "--data-root", tmp_path / "none").refused()
    assert "none of the 11 grids can be run; table 2, COCO zero-shot: " in line
    assert f"data download --suite coco --data-root {tmp_path / 'none'}' gets what is public of it" in line
