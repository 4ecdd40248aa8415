"""``odinw-bench export model`` and ``--model onnx:FILE``."""

from __future__ import annotations

import json

import pytest

from glip_core.errors import InputError
from odinw_bench import load_run
from odinw_bench.runs.record import read_record
from tests.cli.conftest import write_dataset


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["glip-nano"], "--prompt"),
        (["glip-nano", "--prompt", "fish", "--dynamic-prompt"], "not both"),
        (["glip-nano", "--prompt", " . "], "names no class"),
        (["glip-nan", "--prompt", "fish"], "neither a run's folder nor a model"),
        (["no/such/run"], "neither a run's folder nor a model"),
        (["dyhead-nano", "--prompt", "fish"], "untrained"),
        (["glip-nano", "--prompt", "fish", "--format", "tflite"], "unknown format"),
        (["glip-nano", "--prompt", "fish", "--precision", "int4"], "unknown precision"),
        (["glip-nano", "--prompt", "fish", "--precision", "int8", "--format", "torch-export"], "--format onnx"),
        ([".", "--weights", "x.pth"], "leave --weights out"),
    ],
)
def test_what_cannot_be_exported(arguments, said, cli, tmp_path):
    assert said in cli("export", "model", *arguments, "--out", tmp_path / "x.onnx").refused()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("form", "name"), [("onnx", "detector.onnx"), ("torch-export", "detector.pt2")])
def test_the_file_has_the_ending_of_its_format(form, name, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = []

    def write(traced, out, **_):
        out.write_text("graph")
        written.append(out)
        return [out]

    monkeypatch.setattr("glip_core.exporting.trace", lambda *_, **__: None)
    monkeypatch.setattr("glip_core.exporting.write_program", write)
    monkeypatch.setattr("odinw_bench.exporting.write_onnx", write)
    assert cli("export", "model", "glip-nano", "--prompt", "fish", "--format", form).code == 0
    assert [str(path) for path in written] == [name]


def test_a_failed_run_is_not_exported(cli, pets, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    assert "run.json" in cli("export", "model", tmp_path / "run", "--out", tmp_path / "x.onnx").refused()

    def fail(*_, **__):
        raise InputError("the disk is gone")

    monkeypatch.setattr("odinw_bench.runs.run.Work.tune_and_test", fail)
    own = ("--dataset", pets, "--results", tmp_path / "results", "--device", "cpu")
    cli("run", "--model", "glip-nano", "--mode", "zero-shot", *own)
    (folder,) = [path.parent for path in (tmp_path / "results").rglob("run.json")]
    said = cli("export", "model", folder, "--out", tmp_path / "x.onnx").refused()
    assert "failed: the disk is gone" in said


@pytest.mark.parametrize("content", [None, b"no model"])
def test_files_that_are_no_models(content, cli, tmp_path):
    file = tmp_path / "x.onnx"
    if content is not None:
        file.write_bytes(content)
    said = cli("run", "--model", f"onnx:{file}", "--dataset", "mini-pond", "--mode", "zero-shot").refused()
    assert str(file) in said


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["prompt", "lora"])
def test_a_tuned_run_and_its_file_have_the_same_numbers(mode, cli, tmp_path):
    data = write_dataset(tmp_path / "pets")
    results = tmp_path / "results"
    own = ("--dataset", data, "--results", results, "--device", "cpu")
    tuned = (
        "--model",
        "glip-nano",
        "--mode",
        mode,
        "--shots",
        "1",
        "--seed",
        "3",
        "--set",
        "epochs=1,repeats_per_epoch=8,min_steps_per_epoch=1",
    )
    assert cli("run", *tuned, *own).code == 0
    (folder,) = [path.parent for path in results.rglob("run.json")]
    out = tmp_path / "tuned.onnx"
    answer = cli("export", "model", folder, "--out", out, "--json")
    assert json.loads(answer.out)["classes"] == ["cat", "dog"]
    assert cli("run", "--model", f"onnx:{out}", "--mode", "zero-shot", *own).code == 0
    (other,) = [path.parent for path in results.rglob("run.json") if path.parent != folder]
    first, second = read_record(folder), read_record(other)
    assert second.spec.model == "glip-nano-onnx-fp32"
    assert second["metrics"]["AP"] == pytest.approx(first["metrics"]["AP"], abs=0.1)
    picture = next(path for path in sorted(data.rglob("*")) if path.suffix in (".jpg", ".png"))
    found, wanted = load_run(other).predict(picture), load_run(folder).predict(picture)
    assert found.names == wanted.names
    if mode == "prompt":
        assert "leave --prompt out" in cli("export", "model", folder, "--prompt", "bird", "--out", out).refused()
        assert "--dynamic-prompt out" in cli("export", "model", folder, "--dynamic-prompt", "--out", out).refused()
