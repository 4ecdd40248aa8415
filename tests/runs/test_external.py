"""Any model's predictions, under the same protocol."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from odinw_bench import evaluate, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.report.load import load_runs
from odinw_bench.runs.claims import BusyError, claim
from odinw_bench.runs.record import find_records, read_record, write_record
from tests.report import made


@pytest.fixture
def predictions(tmp_path):
    """A folder of predictions of two tasks, each under another of the names that are understood."""
    folder = tmp_path / "mine"
    (folder / "packages").mkdir(parents=True)
    found = {name: made.detections(made.drawn(name), 0.6, seed=1) for name in ("aquarium", "packages")}
    (folder / "Aquarium.json").write_text(json.dumps(found["aquarium"]))
    (folder / "packages/predictions.json").write_text(json.dumps({"annotations": found["packages"]}))
    return folder, found


def test_records_like_any_other(cli, predictions, tmp_path):
    folder, found = predictions
    results = tmp_path / "results"
    arguments = ["score", "--suite", "mini", "--predictions", folder, "--model-name", "my-yolo", "--mode", "full"]
    arguments += ["--shots", "5", "--seed", "30", "--results", results]
    answer = cli(*arguments)
    assert answer.code == 0, answer.err
    assert "mean of 2" in answer.out and "no predictions of: aerial" in answer.out
    records = {record["spec"]["dataset"]: (place, record) for place, record in find_records(results)}
    assert set(records) == {"aquarium", "packages"}
    for name, (place, record) in records.items():
        assert record["metrics"] == evaluate(made.drawn(name).annotations, found[name])
        assert record["spec"]["model"] == "my-yolo"
        assert place.relative_to(results).parts[:3] == ("mini", "my-yolo", name)
        assert json.loads((place / "predictions.json").read_text()) == found[name]
        assert record["external"]["sha256"]
    assert cli(*arguments).code == 0
    assert len(list(find_records(results))) == 2  # not a second time
    place = records["aquarium"][0]
    left = place.with_name(f".{place.name}.lock")  # by a process that was killed when all but this was done
    left.touch()
    assert cli(*arguments).code == 0
    assert not left.exists()
    assert "my-yolo on mini/aquarium" in cli("show", records["aquarium"][0]).out
    out = tmp_path / "report"
    assert cli("report", "--results", results, "--out", out, "--pictures", "1").code == 0
    assert "my-yolo" in (out / "report.md").read_text()
    compared = cli("compare", records["aquarium"][0], records["aquarium"][0], "--samples", "10")
    assert "A and B are equal" in compared.out


def test_another_process_that_scores_the_same_is_waited_for(cli, predictions, tmp_path, monkeypatch):
    folder, _ = predictions
    results = tmp_path / "results"
    score = ("score", "--suite", "mini", "--dataset", "packages", "--predictions", folder, "--model-name", "x")
    assert cli(*score, "--results", results).code == 0
    ((place, record),) = find_records(results)
    place.rename(tmp_path / "done by the other")
    monkeypatch.setattr("odinw_bench.runs.claims.PATIENCE_SECONDS", 0.01)
    with ExitStack() as other:
        other.enter_context(claim(place))

        def ends(_):
            if not place.exists():
                (tmp_path / "done by the other").rename(place)
                other.close()

        monkeypatch.setattr("odinw_bench.runs.claims.time.sleep", ends)
        assert cli(*score, "--results", results).code == 0
    assert [one.content for _, one in find_records(results)] == [record.content]


def test_what_another_process_is_at_is_one_line(cli, predictions, monkeypatch):
    def busy(*_, **__):
        raise BusyError("process 7 on host is at work there")

    monkeypatch.setattr("odinw_bench.runs.external.score", busy)
    score = ("score", "--suite", "mini", "--dataset", "packages", "--predictions", predictions[0], "--model-name", "x")
    assert "process 7 on host is at work there" in cli(*score).refused()


def test_other_predictions_are_another_record(cli, predictions, tmp_path):
    _, found = predictions
    path = tmp_path / "one.json"
    for rows in (found["packages"], found["packages"][:-1]):
        path.write_text(json.dumps(rows))
        arguments = ["--suite", "mini", "--dataset", "packages", "--predictions", path, "--model-name", "m"]
        assert cli("score", *arguments, "--results", tmp_path / "r").code == 0
    assert len(list(find_records(tmp_path / "r"))) == 2


@pytest.mark.parametrize("form", ["as it is written", "as it was written before"])
def test_predictions_on_another_split_say_what_they_were_tested_on(cli, tmp_path, form):
    """What was tested on other annotations is not compared, and the report has its doubts."""
    results, path = tmp_path / "results", tmp_path / "one.json"
    split = open_split(load_task("packages", "mini"), "val")
    path.write_text(json.dumps(made.detections(split, 0.5, seed=1)))
    common = ["score", "--suite", "mini", "--dataset", "packages", "--eval-split", "val", "--predictions", path]
    for name in ("a", "b"):
        assert cli(*common, "--model-name", name, "--results", results).code == 0
    folders = {record.spec.model: folder for folder, record in find_records(results)}
    content = read_record(folders["a"]).to_json()
    if form == "as it is written":
        assert content["data"]["annotations_sha256"] == {"test": split.sha256}
        changed = {"test": "0" * 64}
    else:
        changed = {"val": "0" * 64}
    write_record(folders["a"], content | {"data": content["data"] | {"annotations_sha256": changed}})
    assert "were tested on different data" in cli("compare", folders["a"], folders["b"]).refused()
    assert any("tested on 2 versions of its data" in note for note in load_runs(results).notes)


def test_bad_input_is_one_line(cli, predictions, tmp_path):
    folder, _ = predictions

    def refused(*changes, name="m"):
        common = ["score", "--suite", "mini", "--model-name", name, "--results", tmp_path / "r"]
        return cli(*common, *changes).refused()

    assert "not found" in refused("--predictions", tmp_path / "none")
    assert "letters, digits" in refused("--predictions", folder, name="../evil")
    assert "has no pothole.json" in refused("--predictions", folder, "--dataset", "pothole")
    one = folder / "Aquarium.json"
    assert "say with --dataset" in refused("--predictions", one)
    assert "0 is for" in refused("--predictions", one, "--dataset", "aquarium", "--mode", "full")
    one.write_text("[{")
    assert "is not JSON" in refused("--predictions", one, "--dataset", "aquarium")
    one.write_text('{"boxes": []}')
    assert "list of COCO results" in refused("--predictions", one, "--dataset", "aquarium")
    one.write_text('[{"image_id": 1, "category_id": 99, "bbox": [0, 0, 1, 1], "score": 0.5}]')
    assert "category_id 99" in refused("--predictions", one, "--dataset", "aquarium")
    one.write_text('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, NaN, 1], "score": 0.5}]')
    assert "four finite numbers" in refused("--predictions", one, "--dataset", "aquarium")
    assert not list((tmp_path / "r").rglob("run.json"))


def test_exported_runs_score_the_same(cli, predictions, tmp_path):
    folder, _ = predictions
    common = ["score", "--suite", "mini", "--model-name"]
    assert cli(*common, "one", "--predictions", folder, "--results", tmp_path / "r").code == 0
    pattern = str(tmp_path / "r/mini/one/*/zero-shot-*")
    assert "2 datasets" in cli("export", "coco", pattern, "--out", tmp_path / "out").out
    assert cli(*common, "two", "--predictions", tmp_path / "out", "--results", tmp_path / "r").code == 0
    by_model: dict[str, dict[str, float]] = {}
    for _, record in find_records(tmp_path / "r"):
        by_model.setdefault(record["spec"]["model"], {})[record["spec"]["dataset"]] = record["metrics"]["AP"]
    assert by_model["one"] == by_model["two"]
    assert set(json.loads((tmp_path / "out/index.json").read_text())) == {"aquarium", "packages"}
    clash = cli("export", "coco", str(tmp_path / "r/mini/*/aquarium/*"), "--out", tmp_path / "clash")
    assert "are both of 'aquarium'" in clash.refused()
    assert not (tmp_path / "clash").exists()
    assert "nowhere" in cli("export", "coco", "nowhere", "--out", tmp_path / "clash").refused()
