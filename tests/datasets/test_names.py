"""A data set counts once, however it is written; two folders of one name are two data sets."""

from __future__ import annotations

import json
import shutil

import pytest

from odinw_bench.datasets.names import load_tasks, unique_names
from odinw_bench.datasets.registry import load_suite
from odinw_bench.report.averages import split_suites
from odinw_bench.report.load import load_runs
from tests.cli.conftest import write_dataset
from tests.report import made

PETS = ("cat", "dog")


@pytest.fixture
def two(tmp_path):
    """Two folders called pets, of other pictures."""
    return [write_dataset(tmp_path / name / "pets", images=images) for name, images in (("a", 2), ("b", 3))]


def test_a_name_in_any_spelling_counts_once(cli, tmp_path):
    grid = ("run", "--dataset", "packages,raccoon,Raccoon,PACKAGES", "--mode", "zero-shot", "--dry-run", "--json")
    assert len(json.loads(cli(*grid).out)["cells"]) == 2
    assert [task.name for task in load_tasks(["raccoon", "Raccoon", "packages", "raccoon"], "mini")] == [
        "raccoon",
        "packages",
    ]


def test_a_folder_in_any_spelling_counts_once(cli, pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(pets)
    spellings = f"pets,./pets/,{pets},{pets.parent}/../{pets.parent.name}/pets,link"
    grid = ("run", "--dataset", spellings, "--mode", "zero-shot", "--dry-run", "--json")
    assert len(json.loads(cli(*grid).out)["cells"]) == 1
    assert len(json.loads(cli("data", "check", "--dataset", spellings, "--json").out)) == 1


def test_unique_names():
    assert unique_names([("pets", "/x/a/pets"), ("pets", "/x/b/pets"), ("cats", "/x/cats")]) == [
        "a-pets",
        "b-pets",
        "cats",
    ]
    assert unique_names([("pets", "/1/a/pets"), ("pets", "/2/a/pets")]) == ["1-a-pets", "2-a-pets"]
    assert unique_names([("pets", "/x/a/pets"), ("pets", "/x/a/pets")]) == ["pets", "pets"]
    assert unique_names([("pets", "/a/one"), ("pets", "/a/two")]) == ["one-pets", "two-pets"]  # names of task files
    assert unique_names([("pets", ""), ("pets", "/a/pets")]) == ["pets", "a-pets"]
    odd = unique_names([("pets", "/x/a/pets"), ("pets", "/x/b/pets"), ("a-pets", "/x/a-pets"), ("pets", "/x/B/pets")])
    assert len({*odd}) == 4


def test_two_folders_of_one_name_are_two_data_sets(cli, two, tmp_path):
    grid = ("run", "--dataset", f"{two[0]},{two[1]}", "--mode", "zero-shot", "--results", tmp_path / "r", "--quiet")
    answer = cli(*grid)
    assert answer.code == 0, answer.err
    assert "a-pets" in answer.out
    assert "b-pets" in answer.out
    assert "mean of 2" in answer.out
    runs = load_runs(tmp_path / "r")
    assert not runs.notes
    assert sorted(runs.done["dataset"]) == ["a-pets", "b-pets"]
    assert sorted(runs.done["data_folder"]) == sorted(map(str, two))
    assert split_suites(runs)[0].measured == ["a-pets", "b-pets"]
    report = cli("report", "--results", tmp_path / "r", "--out", tmp_path / "out", "--data", two[0], "--data", two[1])
    assert report.code == 0, report.err
    assert "no gallery" not in report.err
    records = str(tmp_path / "r/custom/glip-nano/pets/*")
    compared = cli("compare", records, records, "--data", two[0], "--data", two[1], "--samples", "5")
    assert compared.code == 0, compared.err
    assert "a-pets" in compared.out
    assert "b-pets" in compared.out
    exported = cli("export", "coco", records, "--out", tmp_path / "coco")
    assert exported.code == 0, exported.err
    assert {path.stem for path in (tmp_path / "coco").iterdir()} == {"a-pets", "b-pets", "index"}
    checked = json.loads(cli("data", "check", "--dataset", f"{two[0]},{two[1]}", "--json").out)
    assert [one["task"] for one in checked] == ["a-pets", "b-pets"]


def test_predictions_of_two_folders_of_one_name_are_found_by_their_names(cli, two, tmp_path):
    answers = tmp_path / "answers"
    answers.mkdir()
    score = ("score", "--predictions", answers, "--model-name", "mine", "--results", tmp_path / "r")
    score += ("--suite", "mini", "--dataset", f"{two[0]},{two[1]}")
    (answers / "pets.json").write_text("[]")
    assert "has no a-pets.json" in cli(*score).refused()
    for name in ("a-pets", "b-pets"):
        (answers / f"{name}.json").write_text("[]")
    assert "b-pets" in cli(*score).out
    assert sorted(load_runs(tmp_path / "r").done["dataset"]) == ["a-pets", "b-pets"]


def test_the_same_data_in_two_places_are_one_data_set(cli, two, tmp_path):
    """Moved or copied between runs; the digest, which has no path in it, is the same."""
    copied = tmp_path / "c" / "pets"
    shutil.copytree(two[0], copied)
    grid = ("run", "--dataset", f"{two[0]},{copied}", "--mode", "zero-shot", "--dry-run", "--json")
    assert len(json.loads(cli(*grid).out)["cells"]) == 1
    for folder, mode, shots in ((two[0], "zero-shot", 0), (copied, "linear", 1), (copied, "linear", 5)):
        said = made.spec("pets", suite="custom", mode=mode, shots=shots)
        one = made.record(said, made.metrics(40.0, cat=40.0), sha256="a" * 64)
        one["data"]["folder"] = str(folder)
        made.write(tmp_path / "r", one)
    assert set(load_runs(tmp_path / "r").done["dataset"]) == {"pets"}


def test_a_suite_with_folders_that_differ_in_odd_characters_alone(tmp_path):
    for name in ("a b", "a-b", "a_b"):
        write_dataset(tmp_path / "data" / name / "pets")
    assert len({task.name for task in load_suite(tmp_path / "data")}) == 3
