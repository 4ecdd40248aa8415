"""Phrase grounding and referring expressions: real layouts and drawn ones, end to end through the command line."""

from __future__ import annotations

import json
import math

import pytest
import torch

import glip_core
from glip_core import InputError
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.metrics.resampling import compare_shares, share_interval
from odinw_bench.mini import sentences as drawn
from odinw_bench.models import find_model
from odinw_bench.runs.prepare import prepare
from tests.evaluation.sentences import entities_folder, mdetr_flickr, refexp_folder


@pytest.fixture(scope="module")
def flickr(shared):
    return json.loads((shared / "evaluators" / "flickr_eval.json").read_text())


@pytest.fixture(scope="module")
def refexp(shared):
    return json.loads((shared / "evaluators" / "phrase_scores.json").read_text())["referring_expressions"][0]


@pytest.fixture
def few(monkeypatch):
    """Four pictures a split of the drawn suites."""
    monkeypatch.setattr(drawn, "IMAGES", {"val": 4, "test": 4})
    drawn._drawn.cache_clear()
    yield
    drawn._drawn.cache_clear()


def score(cli, tmp_path, suite, predictions, *more):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(predictions))
    arguments = ("--suite", suite, "--predictions", path, "--model-name", "mine", "--results", tmp_path / "scored")
    return cli("score", *arguments, "--data-root", tmp_path, "--force", "--json", *more)


def metrics_of(answer):
    assert answer.code == 0, answer.err
    (record,) = json.loads(answer.out)["records"]
    return record["metrics"]


@pytest.mark.parametrize("form", ["raw", "mdetr"])
def test_flickr_predictions_score_as_officially(cli, tmp_path, flickr, form):
    raw = entities_folder(tmp_path, flickr)
    if form == "mdetr":
        mdetr_flickr(raw, tmp_path / "mdetr_annotations" / "final_flickr_separateGT_test.json")
        (raw / "test.txt").unlink()
    metrics = metrics_of(score(cli, tmp_path, "flickr30k", flickr["predictions_xyxy_ranked"]))
    for suffix, protocol in (("", "any_box"), ("_merged", "merged_boxes")):
        official = flickr["official"][protocol]["scores"]
        for rank in ("1", "5", "10"):
            assert metrics[f"R@{rank}{suffix}"] == pytest.approx(100 * official[f"Recall@{rank}_all"], abs=1e-9)
    assert metrics["phrases"] == flickr["official"]["any_box"]["phrases"]["all"]
    assert metrics["R@1_interval"]["low"] < metrics["R@1"] < metrics["R@1_interval"]["high"]
    official = flickr["official"]["any_box"]["scores"]
    by_type = metrics.get("R@1_by_type", {})
    assert bool(by_type) == (form == "raw")
    for kind, value in by_type.items():
        assert value == pytest.approx(100 * official[f"Recall@1_{kind}"], abs=1e-9)


def test_flickr_runs_from_both_forms_of_the_annotations(cli, tmp_path, flickr):
    raw = entities_folder(tmp_path, flickr, images=2)
    arguments = ("run", "--suite", "flickr30k", "--data-root", tmp_path, "--mode", "zero-shot", "--json")
    (row,) = json.loads(cli(*arguments, "--results", tmp_path / "a").out)
    mdetr_flickr(raw, tmp_path / "mdetr_annotations" / "final_flickr_separateGT_test.json")
    (raw / "test.txt").unlink()
    (other,) = json.loads(cli(*arguments, "--results", tmp_path / "b").out)
    assert row["record"]["metrics"]["R@1"] == other["record"]["metrics"]["R@1"]
    assert row["folder"].split("/")[-1] != other["folder"].split("/")[-1]  # other files, another run
    predictions = json.loads(next((tmp_path / "a").rglob("predictions.json")).read_text())
    assert json.loads(next((tmp_path / "b").rglob("predictions.json")).read_text()) == predictions
    for one in predictions:
        assert all(boxes[-1] == [0, 0, 0, 0] for boxes in one["boxes"])
        assert sum(len(boxes) - 1 for boxes in one["boxes"]) <= 102


def test_data_are_checked_and_listed_in_both_forms(cli, tmp_path, flickr, refexp):
    raw = entities_folder(tmp_path, flickr)
    refexp_folder(tmp_path, refexp, "refcocog", "test")
    for form in ("raw", "mdetr"):
        if form == "mdetr":
            mdetr_flickr(raw, tmp_path / "mdetr_annotations" / "final_flickr_separateGT_test.json")
            (raw / "test.txt").unlink()
        listed = json.loads(cli("data", "list", "--suite", "flickr30k", "--data-root", tmp_path, "--json").out)
        assert "test" in json.dumps(listed)
        (checked,) = json.loads(cli("data", "check", "--suite", "flickr30k", "--data-root", tmp_path, "--json").out)
        kinds = {one["kind"] for one in checked["findings"] if one["split"] == "test"}
        assert kinds <= {"other number of images than published", "box outside the image", "wrong image size"}
        assert checked["counts"]["test"]["images"] == 30
    checked = cli("data", "check", "--suite", "refcocog", "--data-root", tmp_path)
    assert "annotation file missing" in checked.out
    assert "finetune_refcocog_val.json" in checked.out


def test_the_boxes_of_a_run_are_those_of_ground(tmp_path, flickr, cli):
    entities_folder(tmp_path, flickr, images=1)
    run = cli(
        "run", "--suite", "flickr30k", "--data-root", tmp_path, "--mode", "zero-shot", "--results", tmp_path / "r"
    )
    assert run.code == 0, run.err
    predictions = json.loads(next((tmp_path / "r").rglob("predictions.json")).read_text())
    split = open_split(load_task("flickr30k", "flickr30k"), "test", tmp_path)
    (image_id,) = split.image_ids
    detector = glip_core.load("glip-nano")
    for sentence, one in zip(split.sentences[image_id], predictions, strict=True):
        found = glip_core.ground(
            detector, split.image(image_id), sentence.text, [phrase.spans for phrase in sentence.phrases]
        )
        for phrase, boxes in zip(found, one["boxes"], strict=True):
            assert torch.allclose(phrase.boxes, torch.tensor(boxes[:-1]).reshape(-1, 4), atol=1e-3)


@pytest.mark.parametrize(("name", "split"), [("refcoco", "testA"), ("refcoco+", "val"), ("refcocog", "test")])
def test_expressions_score_as_officially(cli, tmp_path, refexp, name, split):
    predictions = refexp_folder(tmp_path, refexp, name, split)
    metrics = metrics_of(score(cli, tmp_path, name, predictions, "--eval-split", split))
    official, plain = refexp["official_precision_at_1_5_10"][name], refexp["with_plain_iou_not_official"][name]
    ranks = ("P@1", "P@5", "P@10")
    assert sorted(metrics[f"{rank}_giou"] for rank in ranks) == pytest.approx([100 * value for value in official])
    assert [metrics[rank] for rank in ranks] == pytest.approx([100 * value for value in plain])


def test_expressions_run(cli, tmp_path, refexp):
    case = {**refexp, "images": [one for one in refexp["images"] if one["dataset_name"] == "refcoco"][:3]}
    refexp_folder(tmp_path, case, "refcoco", "val")
    answer = cli(
        "run", "--suite", "refcoco", "--data-root", tmp_path, "--mode", "zero-shot", "--results", tmp_path / "r"
    )
    assert answer.code == 0, answer.err
    assert "P@1 in percent" in answer.out
    predictions = json.loads(next((tmp_path / "r").rglob("predictions.json")).read_text())
    assert [one["expression_id"] for one in predictions] == [one["id"] for one in case["images"]]
    assert cli("report", "--results", tmp_path / "r", "--out", tmp_path / "report").code == 0
    assert "Published, not measured here" in (tmp_path / "report" / "report.md").read_text()
    for one in predictions:
        for part in (one, one["head"]):
            assert 1 <= len(part["boxes"]) == len(part["scores"]) <= 10
            assert part["scores"] == sorted(part["scores"], reverse=True)


@pytest.mark.parametrize("suite", ["mini-flickr", "mini-refexp"])
def test_the_drawn_suites(cli, tmp_path, few, suite):
    arguments = ("--suite", suite, "--mode", "zero-shot", "--results", tmp_path / "r", "--json")
    (row,) = json.loads(cli("run", *arguments).out)
    metrics, headline = row["record"]["metrics"], "R@1" if suite == "mini-flickr" else "P@1"
    assert metrics[headline] > 20  # by chance it would be near 0
    assert metrics[f"{headline}_by_type"]
    (folder,) = {path.parent for path in (tmp_path / "r").rglob("run.json")}
    again = score(cli, tmp_path, suite, json.loads((folder / "predictions.json").read_text()))
    assert metrics_of(again) == metrics
    assert "give --ground" in cli("predict", folder / "run.json", "--run", folder).refused()
    report = cli("report", "--results", tmp_path / "r", "--out", tmp_path / "report")
    assert report.code == 0, report.err
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"{headline} with its 95 % interval" in text
    assert f"{headline} by type" in text
    assert "Published, not measured here" not in text
    compared = cli("compare", folder, folder)
    assert "A and B are equal" in compared.out
    assert cli("data", "check", "--suite", suite).code == 0


def test_two_models_are_compared_on_the_same_pictures(cli, tmp_path, few):
    models = "glip-nano-a,glip-nano"
    arguments = ("--suite", "mini-flickr", "--mode", "zero-shot", "--results", tmp_path, "--engine", "local")
    assert cli("run", *arguments, "--model", models).code == 0
    a, b = (next(tmp_path.glob(f"mini-flickr/{model}/*/*")) for model in models.split(","))
    (row,) = json.loads(cli("compare", a, b, "--json").out)["pairs"]
    assert row["difference"] == pytest.approx(row["R@1_a"] - row["R@1_b"])
    assert row["low"] <= row["difference"] <= row["high"]
    assert "R@1" in cli("compare", a, b).out


def test_the_drawn_suites_are_the_same_each_time():
    for suite in drawn.KINDS:
        task = load_task(suite, suite)
        first = open_split(task, "val")
        drawn._drawn.cache_clear()
        second = open_split(task, "val")
        assert first.sha256 == second.sha256
        image = first.image_ids[0]
        assert first.image(image).tobytes() == second.image(image).tobytes()
    assert first.sha256.startswith("7fd9ec94acdd")  # on every machine


def test_an_expression_means_one_thing(few):
    split = open_split(load_task("mini-refexp", "mini-refexp"), "test")
    for listed in split.sentences.values():
        for sentence in listed:
            whole, head = sentence.phrases
            assert whole.spans == ((0, len(sentence.text)),)
            assert whole.boxes == head.boxes
            assert len(whole.boxes) == 1
            assert (whole.types == ("relation",)) == (head.spans != whole.spans)


def test_a_picture_is_encoded_once_for_its_sentences(few, tmp_path, monkeypatch, cli):
    seen = []
    encode = glip_core.Detector.encode_image
    monkeypatch.setattr(glip_core.Detector, "encode_image", lambda self, x: seen.append(len(x)) or encode(self, x))
    arguments = ("--suite", "mini-flickr", "--mode", "zero-shot", "--engine", "local")
    assert cli("run", *arguments, "--results", tmp_path).code == 0
    split = open_split(load_task("mini-flickr", "mini-flickr"), "test")
    assert len(seen) == len(split) < sum(map(len, split.sentences.values()))


def test_a_part_of_the_pictures_keeps_its_sentences(few):
    split = open_split(load_task("mini-flickr", "mini-flickr"), "test")
    part = split.subset(split.image_ids[1:3])
    assert part.sentences == {key: split.sentences[key] for key in split.image_ids[1:3]}
    assert part.sha256 != split.sha256


@pytest.mark.parametrize(
    ("model", "says"),
    [("grounding-dino-t", "looks for classes, not for the phrases"), ("dyhead-nano", "needs a model that reads one")],
)
def test_models_that_read_no_sentences(few, cli, model, says):
    assert says in cli("run", "--suite", "mini-flickr", "--model", model, "--mode", "zero-shot").refused()


def test_a_class_of_another_package_is_refused(few):
    class Mute(find_model("glip-nano")):
        pass

    network = glip_core.build("dyhead-nano", num_classes=2)
    with pytest.raises(InputError, match="looks for classes"):
        Mute(network).ground_sentences(None, [])


def test_nothing_is_tuned_on_sentences(few):
    with pytest.raises(InputError, match="each sentence is a prompt of its own"):
        prepare(RunSpec("mini-flickr", suite="mini-flickr", mode="prompt"))


BAD = [
    ("[]", "not"),
    ("{", "JSON"),
    ('{"images": [], "annotations": []}', "empty"),
    ('{"images": [{"id": 1}], "annotations": []}', "file_name"),
    ('{"images": [5], "annotations": []}', "object"),
    ('{"images": 3, "annotations": []}', "MDETR"),
]
GOOD = {
    "id": 0,
    "original_img_id": 7,
    "sentence_id": 0,
    "file_name": "7.jpg",
    "width": 4,
    "height": 4,
    "caption": "a dog",
    "tokens_positive_eval": [[[0, 5]]],
}
BAD += [
    (json.dumps({"images": [{**GOOD, **change}], "annotations": []}), says)
    for change, says in [
        ({"caption": ""}, "caption"),
        ({"width": "x"}, "width"),
        ({"original_img_id": "x"}, "original_img_id"),
        ({"file_name": "../7.jpg"}, "inside the image folder"),
        ({"tokens_positive_eval": [[[0, 99]]]}, "beyond"),
        ({"tokens_positive_eval": [[[3, 1]]]}, "spans"),
        ({"tokens_positive_eval": 3}, "tokens_positive_eval"),
        ({}, "picture '7.jpg' not found"),
    ]
]
BAD.append((json.dumps({"images": [GOOD], "annotations": [{"image_id": 0, "bbox": [1, 2]}]}), "bbox"))


@pytest.mark.parametrize(("content", "says"), BAD)
def test_flickr_files_that_are_none(cli, tmp_path, content, says):
    path = tmp_path / "mdetr_annotations" / "final_flickr_separateGT_test.json"
    path.parent.mkdir()
    path.write_text(content)
    line = cli("run", "--suite", "flickr30k", "--mode", "zero-shot", "--data-root", tmp_path).refused()
    assert says in line


@pytest.mark.parametrize("suite", ["flickr30k", "refcoco", "refcoco+", "refcocog"])
def test_data_that_are_not_there(cli, tmp_path, suite):
    line = cli("run", "--suite", suite, "--mode", "zero-shot", "--data-root", tmp_path, "--dry-run").refused()
    assert "mdetr_annotations" in line


@pytest.mark.parametrize(
    ("suite", "predictions", "says"),
    [
        ("mini-flickr", [], "no prediction for sentence"),
        ("mini-flickr", [{"image_id": 1}], "sentence_id"),
        ("mini-flickr", [3], "must be an object"),
        ("mini-flickr", [{"image_id": math.inf, "sentence_id": 0, "boxes": []}], "must be whole numbers"),
        ("mini-refexp", [], "no prediction for expression"),
        ("mini-refexp", [{"expression_id": "a"}], "whole number"),
        ("mini-refexp", [{"expression_id": 0}] * 2, "2 times"),
        ("mini-refexp", [3], "must be an object"),
    ],
)
def test_predictions_that_do_not_fit(cli, tmp_path, few, suite, predictions, says):
    assert says in score(cli, tmp_path, suite, predictions).refused()


def test_a_head_that_is_none_is_one_line(cli, tmp_path, few):
    split = open_split(load_task("mini-refexp", "mini-refexp"), "test")
    numbers = [one.number for listed in split.sentences.values() for one in listed]
    predictions = [
        {"expression_id": number, "boxes": [[0, 0, 9, 9]], "scores": [1], "head": "man"} for number in numbers
    ]
    assert (
        "must be an object with scores and boxes, not 'man'"
        in score(cli, tmp_path, "mini-refexp", predictions).refused()
    )


def test_heads_where_the_data_mark_none_are_passed_over(cli, tmp_path, refexp):
    predictions = refexp_folder(tmp_path, refexp, "refcoco", "val")
    path = tmp_path / "mdetr_annotations" / "finetune_refcoco_val.json"
    content = json.loads(path.read_text())
    for box in content["annotations"]:
        box["tokens_positive"] = []
    path.write_text(json.dumps(content))
    more = [one | {"head": {"boxes": one["boxes"], "scores": one["scores"]}} for one in predictions]
    metrics = metrics_of(score(cli, tmp_path, "refcoco", more, "--eval-split", "val"))
    assert metrics == metrics_of(score(cli, tmp_path, "refcoco", predictions, "--eval-split", "val"))


def test_intervals_over_images():
    counts = {image: (image % 3, 3) for image in range(60)}
    interval = share_interval(counts)
    assert interval == share_interval(counts)
    assert interval["low"] < 100 / 3 < interval["high"]
    assert share_interval({}) == {"low": None, "high": None}
    same = compare_shares(counts, dict(reversed(counts.items())), 200, 0)
    assert (same.difference, same.low, same.high, same.probability_better) == (0, 0, 0, 0.5)
    better = compare_shares({key: (min(hits + 1, 3), 3) for key, (hits, _) in counts.items()}, counts, 200, 0)
    assert better.low > 0
    with pytest.raises(ValueError, match="different images"):
        compare_shares(counts, {1: (1, 1)}, 10, 0)


def test_a_subset_keeps_sentences_and_pictures():
    from odinw_bench import load_task
    from odinw_bench.datasets.sources import open_split

    split = open_split(load_task("mini-flickr", "mini-flickr"), "test")
    part = split.subset(split.image_ids[2:4])
    assert part.image_ids == split.image_ids[2:4]
    assert part.sentences == {one: split.sentences[one] for one in part.image_ids}
    assert part.image(part.image_ids[0]).size == part.size(part.image_ids[0])
