"""What the user got wrong: one line that says what and how to fix it, and exit code 2."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

import glip_core
from glip_core.checkpoint import named_tensors
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources.files import remedy
from tests.cli.conftest import write_dataset


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "aquarum"], "did you mean 'aquarium'"),
        (["--mode", "promt"], "did you mean 'prompt'"),
        (["--model", "glip-nona"], "did you mean 'glip-nano'"),
        (["--suite", "odinw-13"], "unknown suite 'odinw-13'; did you mean 'odinw13'"),
        (["--shots", "few"], "--shots wants numbers"),
        (["--shots", "0"], "shots must be 1 or more"),
        (["--seed", "x"], "--seed wants whole numbers"),
        (["--set", "lr"], "--set wants NAME=VALUE, not 'lr'"),
        (["--set", "lr=0.1,lr=0.2"], "--set gives 'lr' twice"),
        (["--set", "leraning_rate=1"], "unknown hyper-parameter 'leraning_rate'"),
        (["--set", "epochs=none"], "'epochs' wants a whole number of at least 1, not 'none'"),
        (["--set", "epoch=1", "--mode", "zero-shot"], "did you mean 'epochs'"),
        (["--protocol", "mini-9"], "did you mean 'mini-"),
        (["--precision", "fp64"], "unknown precision"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--device", "cuda:99"], "device 'cuda:99' is not available"),
        (["--engine", "spark"], "unknown engine 'spark'"),
        (["--workers", "0"], "--workers must be 1 or more"),
        (["--cache-gb", "nan"], "--cache-gb must be a number of gigabytes, or inf"),
        (["--cache-disk-gb", "nan"], "--cache-disk-gb must be a number of gigabytes, or inf"),
        (["--eval-split", "tset"], "has no split 'tset'"),
        (["--attributes", "a.yaml"], "for the mode 'manual'"),
        (["--mode", "manual", "--attributes", "nowhere.yaml"], "'nowhere.yaml' not found"),
        (["--weights", "nowhere.pth"], "checkpoint 'nowhere.pth' not found"),
        (["--model", "dyhead-nano", "--mode", "prompt"], "needs a model that reads one"),
        (["--model", "dyhead-t", "--mode", "full"], "give --weights FILE"),
        (["--dataset", "./nowhere"], "folder 'nowhere' not found"),
        (["--suite", "odinw13", "--data-root", "nowhere"], "data root 'nowhere' not found"),
    ],
)
def test_run(cli, tmp_path, arguments, message):
    dataset = [] if "--dataset" in arguments else ["--dataset", "raccoon"]
    assert message in cli("run", *dataset, "--results", tmp_path, *arguments).refused()
    assert not list(tmp_path.iterdir())


def test_a_missing_data_root_says_where_it_looked_and_what_to_download(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("ODINW_DATA_ROOT", raising=False)
    base = ("run", "--suite", "odinw13", "--dataset", "raccoon", "--results", tmp_path)
    line = cli(*base).refused()
    assert "--data-root" in line
    assert "ODINW_DATA_ROOT" in line
    line = cli(*base, "--data-root", tmp_path).refused()
    assert str(tmp_path) in line
    assert "Raccoon.zip" in line


@pytest.mark.parametrize(
    ("suite", "name", "part"),
    [("odinw35", "plantdoc", ""), ("rf20vl", "actions", ""), ("rf100vl", "actions", " --part 10-shot")],
)
def test_what_is_said_to_get_data_names_suite_and_place(tmp_path, suite, name, part):
    task = load_task(name, suite)
    command = f"odinw-bench data download --suite {suite} --dataset {name}{part}"
    assert remedy(task, None, part[len(" --part ") :]).startswith(f"; '{command}' gets it")
    root = tmp_path / "my data"
    assert f"'{command} --data-root {shlex.quote(str(root))}' gets it" in remedy(task, root, part[len(" --part ") :])


def test_a_source_that_is_none_is_said_once(cli, tmp_path):
    answer = cli("data", "download", "--dataset", "raccoon,aquarium", "--source", "foo", "--data-root", tmp_path)
    assert "--source must be one of auto, hub, roboflow, not 'foo'" in answer.refused()


def test_a_folder_that_was_mistyped(cli):
    assert "there is no folder of that name" in cli("data", "check", "my-pets").refused()


def test_only_paths_are_converted(cli, tmp_path, monkeypatch):
    """The name of an official task was looked up, and an option named that the command lacks."""
    monkeypatch.chdir(tmp_path)
    assert "folder 'aquarium' not found" in cli("data", "convert", "aquarium", "--out", tmp_path / "out").refused()


def test_all_datasets_with_a_problem_are_named(cli, tmp_path):
    (tmp_path / "data").mkdir()
    line = cli("run", "--suite", "odinw13", "--dataset", "raccoon,pothole", "--data-root", tmp_path / "data").refused()
    assert "'raccoon'" in line or "'pothole'" in line
    assert "problems with 1 more" in line


@pytest.mark.parametrize("content", ["", "[1, 2", "[]", '{"images": []}', '{"images": 3, "annotations": []}'])
def test_annotations_that_are_not_coco(cli, pets, tmp_path, content):
    (pets / "test" / "_annotations.coco.json").write_text(content)
    line = cli("run", "--dataset", pets, "--mode", "zero-shot", "--results", tmp_path / "r").refused()
    assert "test/_annotations.coco.json" in line
    assert "not COCO" in line or "not a COCO annotation file" in line or "not JSON" in line


def test_a_folder_that_is_no_data_set(cli, tmp_path):
    assert "is not a data set: it is empty; understood are" in cli("run", "--dataset", tmp_path).refused()


def test_a_folder_around_a_data_set_names_it(cli, tmp_path):
    """An archive often unpacks to a folder in a folder."""
    made = write_dataset(tmp_path / "around" / "Photos.v2.coco")
    line = cli("data", "check", "--dataset", tmp_path / "around").refused()
    assert f"give '{made}', which is" in line
    assert "understood" not in line


@pytest.mark.parametrize(("content", "problem"), [(None, "not found"), (b"<html>", "is not an image")])
@pytest.mark.parametrize("mode", ["zero-shot", "full"])
def test_an_image_that_is_missing_or_none(cli, pets, tmp_path, content, problem, mode):
    picture = pets / ("test" if mode == "zero-shot" else "train") / "1.jpg"
    picture.unlink()
    if content:
        picture.write_bytes(content)
    results = tmp_path / "r"
    arguments = ("run", "--dataset", pets, "--mode", mode, "--shots", "all", "--results", results, "--set", "epochs=1")
    line = cli(*arguments).refused()
    assert str(picture) in line
    assert problem in line
    (record,) = results.glob("*/*/*/*/run.json")
    assert json.loads(record.read_text())["status"] == "failed"


def test_classes_that_do_not_fit_into_the_prompt(cli, tmp_path):
    data = write_dataset(tmp_path / "many", names=[f"rare thing number {i}" for i in range(120)])
    common = ("run", "--dataset", data, "--results", tmp_path / "r")
    assert cli(*common, "--mode", "zero-shot").code == 0  # asked for in parts
    assert "256" in cli(*common, "--mode", "prompt", "--shots", "1").refused()  # tuning wants the prompt whole


def test_a_checkpoint_of_another_model(cli, tmp_path):
    other = glip_core.build("dyhead-nano", num_classes=3)
    tensors = {k: v.detach().clone() for k, v in named_tensors(other, other.config).items()}
    save_file(tensors, tmp_path / "dyhead.safetensors")
    torch.save({"model": {"module.weight": torch.zeros(1)}}, tmp_path / "classifier.pth")
    (tmp_path / "photo.pth").write_bytes(b"\x89PNG")
    base = ("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path / "r")
    for name in ("dyhead.safetensors", "classifier.pth", "photo.pth"):
        line = cli(*base, "--weights", tmp_path / name).refused()
        assert name in line
        assert "does not fit the model 'glip-nano'" in line or "cannot be read" in line or "is not loaded" in line


def test_an_error_of_many_cells_is_told_once(cli, tmp_path):
    torch.save({"model": {"module.weight": torch.zeros(1)}}, tmp_path / "w.pth")
    base = ("run", "--dataset", "packages,pothole", "--mode", "zero-shot", "--weights", tmp_path / "w.pth")
    answer = cli(*base, "--results", tmp_path / "r")
    assert answer.code == 2
    assert sum(line.startswith("error: ") for line in answer.err.splitlines()) == 1
    answer = cli(*base, "--results", tmp_path / "r", "--quiet")
    assert "and 1 more" in answer.refused()


def test_a_results_folder_that_cannot_be_written(cli, tmp_path):
    (tmp_path / "file").write_text("")
    line = cli("run", "--dataset", "packages", "--mode", "zero-shot", "--results", tmp_path / "file").refused()
    assert "cannot write to the results folder" in line


@pytest.fixture
def photo(pets):
    return pets / "test" / "0.jpg"


def test_predict(cli, photo, tmp_path):
    def refused(*arguments):
        return cli("predict", *arguments, "--out", tmp_path / "out").refused()

    assert "'nowhere.jpg' not found" in refused("nowhere.jpg", "--prompt", "cat")
    assert "say what to look for" in refused(photo)
    assert "names no class" in refused(photo, "--prompt", " . ;")
    assert "not both" in refused(photo, "--prompt", "cat", "--class", "dog")
    assert "256" in refused(photo, "--prompt", "a very " + "very " * 300 + "long name")
    assert "reads no prompts" in refused(photo, "--prompt", "cat", "--model", "dyhead-nano")
    assert "did you mean 'glip-nano'" in refused(photo, "--prompt", "cat", "--model", "glip-nan")
    assert "no run record at" in refused(photo, "--run", tmp_path)
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    assert f"'{text}' is not an image" in refused(text, "--prompt", "cat")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ground", "he rides it"), "no noun phrase found"),
        (("--ground", "a dog", "--phrases", "a cat"), "does not stand in the sentence"),
        (("--ground", "[a dog"), "brackets"),
        (("--ground", "a dog", "--prompt", "dog"), "give one of them"),
        (("--phrases", "dog"), "--ground"),
        (("--ground", "a dog", "--parser", "mine"), "unknown phrase parser"),
        (("--ground", "a dog", "--model", "dyhead-nano"), "reads no prompts"),
        (("--ground", "a dog", "--model", "grounding-dino-t"), "looks for classes"),
        (("--ground", "a dog " * 300), "tokens"),
    ],
)
def test_predict_a_sentence(cli, photo, tmp_path, arguments, says):
    assert says in cli("predict", photo, *arguments, "--out", tmp_path / "out").refused()


def test_predict_into_a_place_that_cannot_be_written(cli, photo, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write" in cli("predict", photo, "--prompt", "cat", "--out", tmp_path / "file").refused()


def test_other_commands(cli, tmp_path):
    assert "no run record at" in cli("show", tmp_path).refused()
    assert "unknown suite" in cli("data", "list", "--suite", "odinw14").refused()
    assert "did you mean 'packages'" in cli("data", "render", "--dataset", "package", "--out", tmp_path).refused()


@pytest.mark.parametrize("arguments", [["run", "--modex", "prompt"], ["fly"], ["predict"], ["run", "--workers", "two"]])
def test_wrong_usage_has_the_same_exit_code(cli, arguments):
    assert cli(*arguments).code == 2


@pytest.mark.integration
def test_debug_shows_the_traceback():
    """In a process of its own, as installed."""
    code = "from odinw_bench.cli import main; main()"
    base = [sys.executable, "-c", code, "run", "--mode", "promt"]
    plain = subprocess.run(base, capture_output=True, text=True, check=False)
    assert plain.returncode == 2
    assert plain.stderr.splitlines() == [plain.stderr.strip()]
    debug = subprocess.run([*base, "--debug"], capture_output=True, text=True, check=False)
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr
    assert "InputError" in debug.stderr
