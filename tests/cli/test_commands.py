"""The commands on drawn data and on a folder of the user's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageChops

from odinw_bench import RunSpec
from odinw_bench.runs.claims import resume_path
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import find_records

TUNE = ("run", "--mode", "prompt", "--shots", "1", "--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.mark.integration
def test_help_is_instant_and_teaches():
    started = time.perf_counter()
    code = "import sys; from odinw_bench.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "run", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "odinw-bench run --mode prompt --shots 5" in done.stdout
    assert done.stdout.rstrip().endswith("False")
    assert time.perf_counter() - started < 10  # below a second on an idle machine


def test_a_grid_from_plan_to_table(cli, results):
    """One after the other on one folder: plan, run, plan again, run again."""
    grid = (*TUNE, "--mode", "zero-shot", "--dataset", "packages,pothole", "--dataset", "raccoon", "--results", results)
    grid += ("--engine", "local")
    planned = cli(*grid, "--dry-run")
    assert planned.code == 0
    assert "6 runs: 0 done, 6 to do; nothing was run" in planned.out
    assert not list(find_records(results))

    answer = cli(*grid)
    assert answer.code == 0, answer.err
    assert "[6/6]" in answer.err
    assert "not comparable with ODinW" in answer.out
    assert answer.out.count("mean of 3") == 2
    assert f"records: {results}" in answer.out
    assert len(list(find_records(results))) == 6

    again = cli(*grid, "--dry-run")
    assert "6 runs: 6 done, 0 to do" in again.out
    answer = cli(*grid, "--json")
    assert answer.err == ""
    rows = json.loads(answer.out)
    assert len(rows) == 6
    for row in rows:
        record = json.loads((results.parent / row["folder"] / "run.json").read_text())
        assert row["record"]["metrics"] == record["metrics"]
        assert row["error"] is None
    assert "(6 of 6 were done before)" in cli(*grid, "--quiet").out


def test_the_plan_estimates_by_the_records_at_hand(cli, results):
    cli(*TUNE, "--dataset", "packages", "--results", results)
    planned = json.loads(cli(*TUNE, "--dataset", "packages,egohands", "--results", results, "--dry-run", "--json").out)
    assert [cell["done"] for cell in planned["cells"]] == [True, False]
    assert planned["estimated_seconds"] > 0
    assert planned["cells_without_estimate"] == 0
    planned = json.loads(
        cli("run", "--mode", "full", "--dataset", "packages", "--results", results, "--dry-run", "--json").out
    )
    assert planned["cells_without_estimate"] == 1
    said = cli("run", "--mode", "full", "--dataset", "packages", "--results", results, "--dry-run").out
    assert f"no record like them in '{results}' to estimate the time by" in said
    assert "1 run: 0 done, 1 to do" in said
    assert planned["cells"][0]["most_training_passes"] > 0


def test_a_failed_run_is_exit_code_one_and_the_others_run(cli, tmp_path, monkeypatch):
    from odinw_bench.engine import predict

    real = predict.detect_split

    def moody(detector, prompt, split, **options):
        if split.class_names == ["pothole"]:
            raise RuntimeError("out of paper")
        return real(detector, prompt, split, **options)

    monkeypatch.setattr(predict, "detect_split", moody)
    grid = ("run", "--mode", "zero-shot", "--dataset", "pothole,packages", "--results", tmp_path)
    answer = cli(*grid)
    assert answer.code == 1
    assert "error: glip-nano pothole zero-shot: RuntimeError: out of paper" in answer.err
    assert "failed" in answer.out
    assert {record["status"] for _, record in find_records(tmp_path)} == {"done", "failed"}
    assert "Traceback" in cli(*grid, "--debug").err
    monkeypatch.undo()
    assert cli(*grid).code == 0


@pytest.mark.parametrize(
    ("force", "said"), [((), "the same command resumes"), (("--force",), "begins every run from the start")]
)
def test_an_interrupted_grid_says_what_the_next_command_does(cli, tmp_path, monkeypatch, force, said):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("odinw_bench.runs.launchers.local.LocalEngine.run", interrupt)
    answer = cli("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path, *force)
    assert answer.code == 130
    assert f"interrupted; {'--force ' if force else ''}{said}" in answer.err


def test_what_cannot_be_is_left_out_of_a_grid(cli, tmp_path):
    answer = cli("run", "--dataset", "packages", "--mode", "prompt,full", "--shots", "0,1", "--dry-run")
    assert answer.code == 0
    assert "left out: mode 'prompt' tunes on labelled images" in answer.err
    assert "2 runs" in answer.out


def test_a_data_set_of_the_users_own(cli, pets, tmp_path):
    """Ids from 0 and a background category, as Roboflow exports them."""
    answer = cli(*TUNE, "--dataset", pets, "--results", tmp_path / "r", "--mode", "full", "--json")
    assert answer.code == 0, answer.err
    for _, record in find_records(tmp_path / "r"):
        assert record["spec"]["dataset"] == "pets"
        assert record["metrics"]["per_class"].keys() == record["data"]["classes"].keys() == {"1", "2"}
        assert list(record.per_class) == ["cat", "dog"]
        assert record["data"]["test_images"] == 2


def test_attributes_from_a_file(cli, pets, tmp_path):
    (tmp_path / "a.yaml").write_text("cat: {prefix: 'a furry ', suffix: ', which purrs'}\n")
    base = ("run", "--dataset", pets, "--mode", "manual", "--results", tmp_path / "r")
    assert cli(*base, "--attributes", tmp_path / "a.yaml").code == 0
    ((folder, _),) = find_records(tmp_path / "r")
    assert json.loads((folder / "prompt.json").read_text())["caption"] == "a furry cat, which purrs. dog"


def test_a_rendered_folder_gives_the_embedded_numbers(cli, tmp_path):
    assert cli("data", "render", "--dataset", "packages", "--out", tmp_path / "mini").code == 0
    base = ("run", "--mode", "zero-shot", "--results", tmp_path / "r", "--json")
    drawn = json.loads(cli(*base, "--dataset", "packages").out)
    written = json.loads(cli(*base, "--dataset", tmp_path / "mini" / "packages").out)
    assert drawn[0]["record"]["metrics"] == written[0]["record"]["metrics"]


def test_a_contact_sheet(cli, tmp_path):
    assert cli("data", "render", "--dataset", "packages,raccoon", "--sheet", tmp_path / "sheet.png").code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > sheet.height
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_predict_draws_and_writes(cli, pets, tmp_path):
    photo = pets / "test" / "0.jpg"
    answer = cli(
        "predict", photo, photo, "--prompt", "cat, which is small. dog", "--threshold", 0, "--out", tmp_path / "o"
    )
    assert answer.code == 0, answer.err
    assert answer.out.startswith("looking for: cat, dog\n")
    names = {f"0{number}.boxes.{kind}" for number in ("", "-2") for kind in ("png", "json")}
    assert {p.name for p in (tmp_path / "o").iterdir()} == names
    data = json.loads((tmp_path / "o" / "0.boxes.json").read_text())
    assert data["caption"] == "cat, which is small. dog"
    assert data["classes"] == ["cat", "dog"]
    for found in data["detections"]:
        x, y, width, height = found["bbox"]
        assert 0 <= x < x + width <= 121
        assert 0 <= y < y + height <= 81
    scores = [found["score"] for found in data["detections"]]
    assert scores == sorted(scores, reverse=True)


def test_predict_the_phrases_of_a_sentence(cli, pets, tmp_path):
    photo = pets / "test" / "1.jpg"
    answer = cli("predict", photo, "--ground", "a cat left of two red balls", "--out", tmp_path)
    assert answer.code == 0, answer.err
    written = json.loads((tmp_path / "1.boxes.json").read_text())
    assert (written["sentence"], written["phrases_by"]) == ("a cat left of two red balls", "rules")
    assert [(one["text"], one["spans"]) for one in written["phrases"]] == [
        ("a cat", [[0, 5]]),
        ("two red balls", [[14, 27]]),
    ]
    for one in written["phrases"]:
        scores = [box["score"] for box in one["boxes"]]
        assert scores == sorted(scores, reverse=True)
    with Image.open(tmp_path / "1.boxes.png") as picture, Image.open(photo) as plain:
        assert picture.height / picture.width > plain.height / plain.width  # the sentence is below
    for marked in (("--ground", "[a cat] left of two [red balls]"), ("--ground", "a cat left of two red balls")):
        chosen = ("--phrases", "red balls; cat") if "[" not in marked[1] else ()
        assert cli("predict", photo, *marked, *chosen, "--out", tmp_path).code == 0
        written = json.loads((tmp_path / "1.boxes.json").read_text())
        assert written["sentence"] == "a cat left of two red balls"
        assert written["phrases_by"] == "given"
        assert {one["text"] for one in written["phrases"]} == (
            {"cat", "red balls"} if chosen else {"a cat", "red balls"}
        )


def test_predict_with_what_a_run_tuned(cli, tmp_path):
    """With the offset that was tuned, and not only its prompt."""
    strong = (
        "run",
        "--mode",
        "prompt",
        "--shots",
        "3",
        "--set",
        "epochs=2,repeats_per_epoch=4,min_steps_per_epoch=1",
        "--dataset",
        "packages",
    )
    assert cli(*strong, "--results", tmp_path / "r").code == 0
    assert cli("data", "render", "--dataset", "packages", "--out", tmp_path / "mini").code == 0
    photo = sorted((tmp_path / "mini" / "packages" / "test").glob("*.png"))[0]
    ((folder, _),) = find_records(tmp_path / "r")
    tuned = cli("predict", photo, "--run", folder, "--out", tmp_path / "tuned", "--json")
    plain = cli("predict", photo, "--prompt", "package", "--out", tmp_path / "plain", "--json")
    assert tuned.code == plain.code == 0
    (answer,) = json.loads(tuned.out)
    found = json.loads((tmp_path / "tuned" / f"{photo.stem}.boxes.json").read_text())["detections"]
    before = json.loads((tmp_path / "plain" / f"{photo.stem}.boxes.json").read_text())["detections"]
    assert found != before
    predictions = [p for p in json.loads((folder / "predictions.json").read_text()) if p["image_id"] == 1]
    assert [p["score"] for p in predictions] == pytest.approx([d["score"] for d in found], abs=1e-5)
    for prediction, detection in zip(predictions, found, strict=True):
        assert prediction["bbox"] == pytest.approx(detection["bbox"], abs=1e-2)
    assert answer["shown"] == sum(d["score"] >= 0.3 for d in found)
    with Image.open(answer["picture"]) as picture, Image.open(photo) as original:
        assert picture.size == original.size
        untouched = original.convert("RGB")
        drawn = ImageChops.difference(picture.convert("RGB"), untouched).getbbox() is not None
    assert drawn == (answer["shown"] > 0)


def test_show_prints_a_record(cli, results):
    cli(*TUNE, "--dataset", "packages", "--results", results)
    overrides = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}
    folder = prepare(RunSpec(dataset="packages", shots=1, overrides=overrides), results).folder
    answer = cli("show", folder)
    assert answer.code == 0
    assert "glip-nano on mini/packages" in answer.out
    assert "AP package" in answer.out
    assert json.loads(cli("show", folder, "--json").out)["status"] == "done"


def test_lists(cli, shared):
    models = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert models["glip-nano"]["present"] == "yes"
    assert models["glip-t"]["image"] == "800/1333"
    assert "glip-nano" in cli("models", "list").out
    tasks = {row["name"]: row for row in json.loads(cli("data", "list", "--suite", "odinw13", "--json").out)}
    assert len(tasks) == 13
    here = cli("data", "list", "--suite", "odinw13", "--data-root", shared / "odinw" / "data", "--json").out
    assert {row["name"] for row in json.loads(here) if row["present"] == "yes"} >= {"raccoon", "thermal"}
    assert "Apache-2.0" in cli("data", "list", "--suite", "mini").out


def test_doctor(cli):
    answer = cli("doctor")
    assert answer.code == 0
    assert "torch" in answer.out
    facts = json.loads(cli("doctor", "--json").out)
    assert facts["odinw-bench"]
    assert re.fullmatch(r"fp32 \d+, bf16 \d+", facts["matrix product, GFLOP/s"])


def test_version(cli):
    assert cli("--version").out.startswith("odinw-bench 0.")


@pytest.mark.integration
def test_a_killed_run_goes_on_with_the_same_command(tmp_path):
    """SIGKILL in the middle of tuning; the same command ends with the numbers of an uninterrupted run."""
    options = {"epochs": 8, "repeats_per_epoch": 4, "min_steps_per_epoch": 1, "eval_every": 1}
    arguments = ["run", "--dataset", "packages", "--mode", "prompt", "--shots", "3"]
    arguments += ["--set", ",".join(f"{k}={v}" for k, v in options.items()), "--results", str(tmp_path / "killed")]
    command = [sys.executable, "-c", "from odinw_bench.cli import main; main()", *arguments]
    spec = RunSpec(dataset="packages", shots=3, overrides=options)
    folder = prepare(spec, tmp_path / "killed").folder
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 120
        while not resume_path(folder).exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert resume_path(folder).exists()
    assert not folder.exists()

    from odinw_bench import run

    said = []
    went_on = run(spec, tmp_path / "killed", say=said.append)
    whole = run(spec, tmp_path / "whole")
    assert "epoch 1/8" not in said[0]
    assert went_on["metrics"] == whole["metrics"]
    assert went_on["cost"]["tune_steps"] == whole["cost"]["tune_steps"]
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert {p.name for p in folder.parent.iterdir()} == {folder.name}


def test_a_grid_leaves_out_what_nobody_wrote_a_prompt_for(cli, pets, tmp_path):
    """One such task must not refuse a grid of all modes; asked for alone it is an error that says what to do."""
    run = ("run", "--dataset", f"{pets},packages", "--shots", "1", "--results", tmp_path / "r", "--dry-run")
    answer = cli(*run, "--mode", "zero-shot,manual")
    assert answer.code == 0, answer.err
    assert f"left out: mode 'manual' on {pets}: no hand-written prompt" in answer.err
    assert "3 runs: 0 done, 3 to do" in answer.out
    line = cli("run", "--dataset", pets, "--mode", "manual", "--results", tmp_path / "r").refused()
    assert "has no hand-written prompt: give --attributes FILE" in line


def test_the_plan_says_how_long_it_takes_with_several_workers(cli, tmp_path):
    cli("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path)
    said = cli("run", "--mode", "zero-shot", "--results", tmp_path, "--dry-run").out
    assert "by number of workers, the longest runs first" in said
    assert "64: " in said
    assert json.loads(cli("run", "--mode", "zero-shot", "--results", tmp_path, "--dry-run", "--json").out)
