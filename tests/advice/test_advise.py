"""Advice: within its budget, without the test split, resumable, and from data in any form."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from glip_core.errors import InputError
from odinw_bench import advise, load_task
from odinw_bench.advice import candidates, lost
from odinw_bench.advice.folds import Labelled
from odinw_bench.advice.settings import AdviceSettings, Budget, parse_seconds
from odinw_bench.datasets.prompts import read_attributes
from odinw_bench.datasets.sources import open_split
from odinw_bench.runs.record import find_records
from odinw_bench.utils.io import read_json
from tests.cli.conftest import write_dataset

QUICK = ("--modes", "zero-shot,linear", "--budget", "10m", "--retention", "none")


@pytest.fixture
def one_epoch(monkeypatch):
    """Every run of an advice has one epoch: what is learnt does not matter."""
    of = candidates.recipe_of
    monkeypatch.setattr(candidates, "recipe_of", lambda *given: replace(of(*given), epochs=1, min_steps_per_epoch=0))


def test_the_answer_is_that_of_the_contract_and_resumes(cli, pets, tmp_path, one_epoch):
    results = tmp_path / "results"
    first = cli("advise", pets, *QUICK, "--results", results, "--json")
    assert first.code == 0, first.err
    answer = json.loads(first.out)
    assert set(answer) >= {"recommendation", "candidates", "learning_curve", "seconds"}
    assert set(answer["recommendation"]) >= {"model", "mode", "expected_AP", "low", "high", "command"}
    assert (
        answer["recommendation"]["low"] <= answer["recommendation"]["expected_AP"] <= answer["recommendation"]["high"]
    )
    assert {one["mode"] for one in answer["candidates"]} == {"zero-shot", "linear"}
    assert any("drawn scenes only" in note for note in answer["notes"])
    assert f"--dataset {pets}" in answer["recommendation"]["command"]
    done = {folder: record["finished"] for folder, record in find_records(results)}
    assert len(done) >= 4
    assert cli("advise", pets, *QUICK, "--results", results, "--json").code == 0
    assert {folder: record["finished"] for folder, record in find_records(results)} == done
    page = next(results.glob("advice/*/advice.html")).read_text()
    assert "data:image/webp" in page or not answer["failures"]["examples"]
    assert "http" not in page.replace("http-equiv", "")


def test_the_test_split_is_not_among_the_images(pets, tmp_path):
    task = load_task(pets)
    labelled = Labelled(task, AdviceSettings(str(pets), results=tmp_path))
    test = open_split(task, "test")
    tested = [test.image(image_id).tobytes() for image_id in test.image_ids]
    assert len(labelled.names) == len(open_split(task, "train")) + len(open_split(task, "val"))
    for fold in labelled.folds:
        mine = load_task(fold.file)
        for split in ("train", "val", "test"):
            part = open_split(mine, split)
            assert not any(part.image(image_id).tobytes() in tested for image_id in part.image_ids)
        assert not {*fold.tested} & {*fold.trained, *fold.selected}
    everything = sorted(number for fold in labelled.folds for number in fold.tested)
    assert everything == sorted(labelled.names)  # few images: each is tested on once


def test_enough_validation_images_are_halved_by_class(tmp_path):
    data = write_dataset(tmp_path / "many", images=24)
    labelled = Labelled(load_task(data), AdviceSettings(str(data), results=tmp_path))
    first, second = labelled.folds
    assert first.trained == second.trained == tuple(labelled.train)
    assert (first.tested, first.selected) == (second.selected, second.tested)
    for fold in labelled.folds:
        boxes = labelled.truth(fold.tested)["annotations"]
        assert [sum(box["category_id"] == one for box in boxes) for one in (1, 2)] == [6, 6]


def test_a_second_of_budget_is_refused_with_the_remedy(cli, pets, tmp_path):
    answer = cli("advise", pets, "--budget", "0.001s", "--results", tmp_path, "--json")
    assert "larger --budget" in answer.refused()
    assert not list(find_records(tmp_path))  # what was stopped did not fail


def test_names_in_data_are_escaped_on_the_page(cli, tmp_path):
    data = write_dataset(tmp_path / "odd", names=("<script>alert(1)</script>", "dog"))
    answer = cli("advise", data, "--modes", "zero-shot", "--results", tmp_path / "r", "--out", tmp_path / "o")
    assert answer.code == 0, answer.err
    page = (tmp_path / "o" / "advice.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert read_json(tmp_path / "o" / "advice.json")["failures"]["classes"]


@pytest.fixture
def failing(monkeypatch):
    """Every run of some modes fails."""

    def fail(*modes):
        do_run = candidates.run

        def run(spec, *given, **options):
            if spec.mode in modes:
                raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")
            return do_run(spec, *given, **options)

        monkeypatch.setattr(candidates, "run", run)

    return fail


def test_a_way_that_fails_is_noted_and_the_others_are_compared(cli, pets, tmp_path, failing):
    failing("linear", "full")
    command = ("advise", pets, "--modes", "zero-shot,linear,full", "--retention", "none", "--results", tmp_path)
    answer = json.loads(cli(*command, "--json").out)
    assert answer["recommendation"]["mode"] == "zero-shot"
    tried = {one["mode"]: one["tried"] for one in answer["candidates"]}
    assert tried["linear"] == tried["full"] == "it failed: RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"
    (note,) = [note for note in answer["notes"] if "CUDA" in note]
    assert note.startswith("a run of glip-nano linear, glip-nano full failed: RuntimeError: CUDA")
    assert not any("not tried" in note for note in answer["notes"])


def test_where_all_ways_fail_the_first_error_is_shown(cli, pets, tmp_path, failing):
    failing("zero-shot", "linear")
    line = cli("advise", pets, *QUICK, "--results", tmp_path, "--json").refused()
    assert "no way of adapting has a result; glip-nano zero-shot failed: RuntimeError: CUDA out of memory" in line


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("90s", 90), ("45", 45), ("0.5h", 1800)])
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


def test_a_budget_without_a_unit_is_said_to_be_seconds(cli, pets, tmp_path, monkeypatch):
    monkeypatch.setattr("odinw_bench.advice.advise", lambda *_, **__: sys.exit(0))
    assert "--budget 10: seconds; minutes are 10m" in cli("advise", pets, "--budget", "10").err
    assert not cli("advise", pets, "--budget", "10m").err


@pytest.mark.parametrize("text", ["", "ten", "10 m", "-5m", "m", "5d"])
def test_what_is_no_time(cli, pets, text):
    assert "--budget wants a time" in cli("advise", pets, "--budget", text).refused()


def test_in_python(tmp_path):
    advice = advise("packages", 600, modes=["zero-shot", "manual"], shots=1, results=tmp_path)
    assert advice.recommendation["mode"] == "manual"  # names that were never seen, described by their looks
    assert advice["recommendation"]["expected_AP"] > 30
    assert advice["runner_up"]["probability"] > 0.95
    found = advice["prompt_words"]
    assert all(row["low"] <= row["difference"] <= row["high"] for row in found["words"])
    assert any(row["kept"] for row in found["words"])  # plain names find nearly nothing here
    assert all(row["kept"] for row in found["words"] if row["low"] > 0)
    command = advice.recommendation["command"]
    if found["simplest"] is None:
        assert all(row["kept"] for row in found["words"])
        assert "--attributes" not in command
    else:
        file = found["simplest"]["file"]
        assert f"--attributes {file}" in command
        prompt = read_attributes(Path(file), load_task("packages", "mini").class_names)
        assert prompt.caption == found["simplest"]["caption"]
        assert advice.recommendation["expected_AP"] == found["simplest"]["AP"]


def test_what_tuning_destroys_elsewhere(pets, tmp_path, one_epoch):
    advice = advise(pets, 600, modes=["prompt"], results=tmp_path, retention=["mini/aquarium"])
    found = advice["zero_shot"]
    assert found["lost"] == 0  # a tuned prompt changes no weight
    assert found["before"] == found["after"] > 0


@pytest.mark.parametrize(
    ("retention", "asked"), [(("mini/aquarium",), None), (("shellfish", "aquarium"), {"mini/shellfish": 50.0})]
)
def test_the_task_itself_is_not_elsewhere(pets, tmp_path, monkeypatch, retention, asked):
    """Though the fold, a data set of its own, is what was tuned on."""
    found = []

    def measure(_, tasks):
        found.append({one.name: 50.0 for one in tasks})
        return found[-1]

    monkeypatch.setattr(lost, "load_tunable", lambda *_: None)
    monkeypatch.setattr(lost, "load_run", lambda *_: SimpleNamespace(model=None))
    monkeypatch.setattr(lost, "measure_base", lambda model, cell, *_: measure(model, cell.retained))
    monkeypatch.setattr(lost, "measure", lambda model, tasks, *_: measure(model, tasks))
    record = SimpleNamespace(cost={"images_per_second": 1e9}, folder=tmp_path)
    way = candidates.Candidate("glip-nano", "prompt", 0, full={0: record})
    task = load_task("aquarium", "mini")
    labelled = SimpleNamespace(task=task, folds=[SimpleNamespace(file=pets)])
    settings = AdviceSettings("aquarium", results=tmp_path, device="cpu", retention=retention)
    answer = lost.zero_shot_lost(way, labelled, settings, Budget(600), lambda _: None)
    assert (answer is None) == (asked is None)
    assert found == ([] if asked is None else [asked, asked])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--retention", "nowhere"), "error: --retention: folder 'nowhere' not found"),
        (("--retention", "odinw13/raccoon"), "'raccoon' needs its data"),
        (("--shots", "0"), "mode 'prompt' tunes on labelled images: --shots must be 1 or more, or 'all'"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_tried(cli, pets, tmp_path, monkeypatch, options, says):
    monkeypatch.delenv("ODINW_DATA_ROOT", raising=False)
    command = ("advise", pets, "--modes", "prompt", "--results", tmp_path / "r")
    assert says in cli(*command, *options).refused()
    assert not (tmp_path / "r").exists()


def test_an_answer_is_given_though_what_tuning_destroys_cannot_be_measured(pets, tmp_path, monkeypatch):
    def gone(*_):
        raise InputError("the pictures are gone")

    monkeypatch.setattr("odinw_bench.advice.answer.zero_shot_lost", gone)
    advice = advise(pets, 600, modes=["zero-shot"], results=tmp_path, retention=["mini/aquarium"])
    assert advice["zero_shot"] is None
    assert "zero-shot ability was not measured: the pictures are gone" in advice["notes"]
    assert list(tmp_path.glob("advice/*/advice.json"))


def test_a_way_that_there_was_no_time_for_is_recommended_and_said_to_be_untried(cli, tmp_path, monkeypatch):
    pets = write_dataset(tmp_path / "pets", images=6)

    def race_without_time(found, labelled, settings, budget, say):
        for one in found:
            if one.tunes:
                one.stopped = "no time was left for it"
                continue
            for number, fold in enumerate(labelled.folds):
                one.full[number] = candidates.do(one, fold, settings, budget, 1.0, say)

    monkeypatch.setattr("odinw_bench.advice.answer.race", race_without_time)
    command = ("advise", pets, "--modes", "zero-shot,linear,full", "--retention", "none", "--results", tmp_path / "r")
    answer = json.loads(cli(*command, "--out", tmp_path / "o", "--json").out)
    found = answer["recommendation"]
    assert (found["mode"], found["tried"], found["short"], found["images_tested"]) == ("full", False, False, 0)
    assert 0 <= found["low"] < found["expected_AP"] < found["high"] <= 100
    assert found["tune_seconds"] > 0
    assert "--mode full" in found["command"]
    assert answer["failures_of"]["mode"] == "zero-shot"
    assert answer["runner_up"]["probability"] > 2 / 3
    assert any("glip-nano full was not tried" in note for note in answer["notes"])
    assert not any("few epochs only" in note or "on all folds" in note for note in answer["notes"])
    page = (tmp_path / "o" / "advice.html").read_text()
    assert "; it was not tried, and this is estimated from the ways that were tried" in page
    assert "Where glip-nano, zero-shot, fails" in page
    shown = cli(*command, "--out", tmp_path / "o").out
    assert "not tried" in shown.split("use glip-nano full")[1]
