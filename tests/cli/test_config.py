"""Grids as files: what --dry-run --json prints can be run again, and slips are one line."""

from __future__ import annotations

import json

import pytest

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
