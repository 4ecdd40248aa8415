"""One spec, one record: on the embedded suite and on real photos."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file

import odinw_bench
from glip_core import InputError
from odinw_bench import RunSpec, evaluate, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import is_done, read_record
from odinw_bench.runs.run import execute, record_failure

QUICK = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A prompt-tuned run on a miniature task."""
    results = tmp_path_factory.mktemp("results")
    spec = RunSpec(dataset="packages", mode="prompt", shots=3, overrides=QUICK)
    record = odinw_bench.run(spec, results)
    return spec, results, record, prepare(spec, results).folder


def test_the_record_says_everything(done):
    _, _, record, folder = done
    assert record == json.loads((folder / "run.json").read_text())
    assert record["status"] == "done"
    assert record["error"] is None
    assert record["spec"]["mode"] == "prompt"
    assert set(record["metrics"]) == {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR100", "per_class"}
    assert set(record["metrics"]["per_class"]) == {"1"}
    assert set(record.per_class) == {"package"}
    assert set(record["cost"]) >= {
        "tune_seconds",
        "test_seconds",
        "images_per_second",
        "peak_memory_bytes",
        "tuned_parameters",
        "total_parameters",
    }
    stages = record["cost"]["test_stages"]
    assert set(stages) == {"images", "model", "scoring"}
    assert stages["images"] + stages["model"] == pytest.approx(record["cost"]["test_seconds"], abs=2e-3)
    assert min(stages.values()) > 0
    assert 0 < record["cost"]["tuned_parameters"] < 5000 < record["cost"]["total_parameters"]
    assert record["data"]["train_images"] == 3
    assert set(record["data"]["annotations_sha256"]) == {"train", "validation", "test"}
    assert record["data"]["few_shot"] == "rule"
    assert len(record["weights_sha256"]) == 64
    assert record["environment"]["device"] == "cpu"
    assert folder.name == f"prompt-3shot-seed3-{record['digest'][:8]}"


def test_the_metrics_are_those_of_the_predictions(done):
    _, _, record, folder = done
    split = open_split(load_task("packages", "mini"), "test")
    predictions = json.loads((folder / "predictions.json").read_text())
    assert evaluate(split.annotations, predictions) == record["metrics"]


def test_only_what_moved_is_kept(done):
    _, _, record, folder = done
    tuned = load_file(folder / "tuned.safetensors")
    assert list(tuned) == ["rpn.tunable_linear.weight"]
    assert tuned["rpn.tunable_linear.weight"].numel() == record["cost"]["tuned_parameters"]
    assert (folder / "tuned.safetensors").stat().st_size < 20_000
    assert json.loads((folder / "prompt.json").read_text())["names"] == ["package"]
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1]


def test_a_finished_run_is_not_done_again_unless_forced(done):
    spec, results, record, _ = done
    again = odinw_bench.run(spec, results)
    assert again["started"] == record["started"]
    assert again == record
    forced = odinw_bench.run(spec, results, force=True)
    assert forced["metrics"] == record["metrics"]  # the same machine, the same numbers
    changed = prepare(RunSpec(dataset="packages", mode="prompt", shots=3, overrides=QUICK | {"lr": 0.01}), results)
    assert changed.folder != prepare(spec, results).folder


def test_a_failed_run_is_recorded_and_tried_again(tmp_path, monkeypatch):
    spec = RunSpec(dataset="packages", mode="zero-shot")
    prepared = prepare(spec, tmp_path)

    def explode(*_, **__):
        raise RuntimeError("out of paper")

    with monkeypatch.context() as patch:
        patch.setattr("odinw_bench.engine.predict.detect_split", explode)
        with pytest.raises(RuntimeError):
            execute(prepared)
    record = json.loads((prepared.folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["error"] == "RuntimeError: out of paper"
    assert record["metrics"] is None
    assert odinw_bench.run(spec, tmp_path)["status"] == "done"


def test_a_failure_leaves_numbers_whose_files_were_deleted(tmp_path, monkeypatch, cli):
    """Predictions deleted to save space: the run counts as not done, yet its record still has its numbers."""
    spec = RunSpec(dataset="packages", mode="zero-shot")
    before = odinw_bench.run(spec, tmp_path)
    cell = prepare(spec, tmp_path)
    (cell.folder / "predictions.json").unlink()
    assert not is_done(cell.folder)

    def explode(*_, **__):
        raise RuntimeError("out of paper")

    monkeypatch.setattr("odinw_bench.engine.predict.detect_split", explode)
    with pytest.raises(RuntimeError, match="out of paper"):
        execute(cell)
    record_failure(cell, "cpu", "its process died")
    assert read_record(cell.folder) == before
    words = ("run", "--dataset", "packages", "--mode", "zero-shot", "--engine", "local", "--results", tmp_path)
    answer = cli(*words)
    assert answer.code == 1
    assert "out of paper" in answer.out + answer.err
    assert read_record(cell.folder) == before


def test_another_subset_or_data_is_another_run(tmp_path):
    folders = {
        prepare(RunSpec(dataset="packages", shots=shots, seed=seed), tmp_path).folder
        for shots, seed in ((1, 3), (1, 30), (3, 3))
    }
    assert len(folders) == 3


REAL = {"raccoon": 17, "thermalDogsAndPeople": 20, "aquarium": 16}


@pytest.mark.parametrize("dataset", list(REAL))
def test_real_photos(shared, tmp_path, dataset):
    """Official task files on real photos: the record's AP is pycocotools' on its predictions."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    root = shared / "odinw" / "data"
    said = tmp_path / "attributes.yaml"  # the nano model finds nothing by a name it never saw
    said.write_text("raccoon: {name: dog}\n")
    asked = {"mode": "manual", "attributes": str(said)} if dataset == "raccoon" else {"mode": "zero-shot"}
    spec = RunSpec(dataset=dataset, suite="odinw13", **asked)
    record = odinw_bench.run(spec, tmp_path, data_root=root)
    assert record["data"]["test_images"] == REAL[dataset]
    folder = prepare(spec, tmp_path, data_root=root).folder
    predictions = json.loads((folder / "predictions.json").read_text())
    truth = COCO()
    truth.dataset = open_split(load_task(dataset), "test", root).annotations
    truth.createIndex()
    evaluator = COCOeval(truth, truth.loadRes(predictions), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    assert record["metrics"]["AP"] == pytest.approx(100 * evaluator.stats[0], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["prompt", "full", "linear"])
def test_real_photos_can_be_tuned_on(shared, tmp_path, mode):
    spec = RunSpec(dataset="raccoon", suite="odinw13", mode=mode, shots=5, overrides={"epochs": 2})
    record = odinw_bench.run(spec, tmp_path, data_root=shared / "odinw" / "data")
    assert record["status"] == "done"
    assert record["data"]["train_images"] == 5


def test_a_missing_data_root_says_what_to_do(tmp_path):
    with pytest.raises(
        InputError, match=r"data root '.*nowhere' not found; .*data download .*--dataset raccoon.*Raccoon.zip"
    ):
        odinw_bench.run(RunSpec(dataset="raccoon", suite="odinw13"), tmp_path, data_root=tmp_path / "nowhere")


def test_checkpointing_gives_the_same_run(tmp_path):
    spec = RunSpec(
        dataset="thermal",
        model="dyhead-nano",
        mode="full",
        shots=1,
        overrides={"epochs": 2, "repeats_per_epoch": 2, "min_steps_per_epoch": 1},
    )
    plain, thrifty = (odinw_bench.run(spec, tmp_path / str(on), checkpointing=on) for on in (False, True))
    assert plain["metrics"] == thrifty["metrics"]
    assert plain["digest"] == thrifty["digest"]
