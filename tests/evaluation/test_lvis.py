"""LVIS: chunks of names, shared features, what is kept, and the metrics of it all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from glip_core import InputError, Prompt
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.suites.lvis import lvis_annotations
from odinw_bench.engine.chunks import detect_in_chunks
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.metrics import evaluate_lvis
from odinw_bench.metrics import lvis_stream as streams
from odinw_bench.metrics.lvis import measure
from odinw_bench.metrics.lvis_stream import FIXED, PLAIN, LvisStream
from odinw_bench.metrics.lvis_truth import LvisTruth
from odinw_bench.models import find_model
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import read_record
from tests.evaluation.made import write_lvis


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


# -- the prompts -----------------------------------------------------------------------------------------------


def test_the_chunks_are_those_of_the_official_loop(shared):
    oracle = json.loads((shared / "evaluators/lvis_prompts.json").read_text())
    names = {entry["id"]: entry["name"] for entry in oracle["names_in_file_order"]}
    prompt = Prompt.from_classes([names[key] for key in oracle["ids_in_prompt_order"]])
    for size in (40, 20):
        captions = [prompt.part(first, min(first + size, len(prompt))).caption for first in range(0, len(prompt), size)]
        assert captions == [chunk["caption"] for chunk in oracle[f"chunks_of_{size}"]["chunks"]]


# -- what is kept ----------------------------------------------------------------------------------------------


def stream_of(oracle, *, top: int, processes: int = 1):
    """The oracle's detections through a stream, an image at a time."""
    truth = LvisTruth(oracle["truth"])
    rows = np.array(oracle["detections"]["rows"], np.float64)
    found = [
        LvisStream(truth.images, truth.categories, truth, top_per_class=top, per_image=300) for _ in range(processes)
    ]
    label = {category: number for number, category in enumerate(truth.categories)}
    for place, image in enumerate(truth.images):
        mine = rows[rows[:, 0] == image]
        boxes = mine[:, 2:6] / 4
        boxes[:, 2:] -= boxes[:, :2]
        labels = np.array([label[int(category)] for category in mine[:, 1]], np.int64)
        found[place % processes].add(image, boxes, mine[:, 6] / 1024, labels)
    return truth, found[0].result([one.state() for one in found])


@pytest.mark.parametrize("pending", [100, 2_000_000])
@pytest.mark.parametrize("processes", [1, 3])
def test_what_is_kept_gives_the_official_metrics(shared, monkeypatch, pending, processes):
    """In one process or several, however often what came in is cut down."""
    monkeypatch.setattr(streams, "_PENDING", pending)
    oracle = json.loads((shared / "evaluators/lvis_eval.json").read_text())
    rows = oracle["detections"]["rows"]
    listed = [
        {"image_id": i, "category_id": c, "bbox": [x1 / 4, y1 / 4, (x2 - x1) / 4, (y2 - y1) / 4], "score": s / 1024}
        for i, c, x1, y1, x2, y2, s in sorted(rows, key=lambda row: row[0])
    ]
    for top in (10_000, 40, 10):
        truth, kept = stream_of(oracle, top=top, processes=processes)
        assert measure(truth, kept.table(FIXED), limit=-1) == evaluate_lvis(oracle["truth"], listed, top_per_class=top)
        assert measure(truth, kept.table(PLAIN), limit=300) == evaluate_lvis(oracle["truth"], listed, fixed=False)


def test_only_what_counts_is_written_and_it_scores_the_same(shared, tmp_path):
    oracle = json.loads((shared / "evaluators/lvis_eval.json").read_text())
    truth, kept = stream_of(oracle, top=10)
    kept.write(tmp_path / "predictions.json")
    written = json.loads((tmp_path / "predictions.json").read_text())
    assert 0 < len(written) == len(kept) < len(oracle["detections"]["rows"])
    assert {(one["category_id"], one["image_id"]) for one in written} <= truth.judged
    assert {one["counts"] for one in written} == {"both", "plain"}


def test_a_stream_of_nothing(tmp_path):
    truth = LvisTruth({"images": [{"id": 1}], "categories": [{"id": 2, "frequency": "r"}], "annotations": []})
    stream = LvisStream([1], [2], truth)
    kept = stream.result([stream.state()])
    kept.write(tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []


# -- shared features -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["glip-nano", "glip-nano-a"])
def test_an_image_is_encoded_once_and_the_boxes_are_those_of_separate_passes(model, monkeypatch):
    loaded = find_model(model).load(None, "cpu")
    split = open_split(load_task("mini-lvis", "mini-lvis"), "test")
    split = split.subset(split.image_ids[:3])
    prompt = Prompt.from_classes(split.class_names[:50])
    passes = {"image": 0, "text": 0}
    encode_image, encode = loaded.network.encode_image, loaded.encode

    def counted_image(pixels):
        passes["image"] += len(pixels)
        return encode_image(pixels)

    def counted_text(part):
        passes["text"] += 1
        return encode(part)

    monkeypatch.setattr(loaded.network, "encode_image", counted_image)
    monkeypatch.setattr(loaded, "encode", counted_text)
    found = {}
    detect_in_chunks(
        loaded, prompt, split, found.__setitem__, chunk=20, per_pass=7, precision="fp32", micro_batching=MicroBatching()
    )
    assert passes == {"image": 3, "text": 3}
    assert loaded.network.postprocessing.per_image == 100
    for image_id, detections in found.items():
        one = loaded.prepare(split.image(image_id))
        with loaded.keeping(7):
            apart = [loaded.detect_batch([one], prompt.part(a, b))[0] for a, b in ((0, 20), (20, 40), (40, 50))]
        labels = torch.cat([part.labels + first for part, first in zip(apart, (0, 20, 40), strict=True)])
        assert torch.equal(detections.labels, labels)
        assert torch.allclose(detections.scores, torch.cat([part.scores for part in apart]), atol=1e-5)


def test_a_grounding_dino_sees_an_image_once_and_finds_the_same():
    pytest.importorskip("transformers")
    loaded = find_model("gdino-nano").load(None, "cpu")
    split = open_split(load_task("mini-lvis", "mini-lvis"), "test")
    split = split.subset(split.image_ids[:2])
    prompt = Prompt.from_classes(split.class_names[:8])
    seen, found = [], {}
    watch = loaded.network.model.backbone.conv_encoder.register_forward_hook(lambda *call: seen.append(len(call[1][0])))
    detect_in_chunks(
        loaded, prompt, split, found.__setitem__, chunk=4, per_pass=7, precision="fp32", micro_batching=MicroBatching()
    )
    watch.remove()
    assert sum(seen) == 2
    images = [loaded.prepare(split.image(image_id)) for image_id in found]
    apart = [loaded.detect_batch(images, prompt.part(first, first + 4)) for first in (0, 4)]
    for detections, *parts in zip(found.values(), *apart, strict=True):
        assert torch.equal(detections.scores, torch.cat([part.scores for part in parts]))
        assert set(detections.labels.tolist()) == set(range(8))


# -- the suite -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "below", "name"),
    [
        ("lvis", "coco/", "lvis_od_val.json"),
        ("lvis", "", "lvis_v1_val.json"),
        ("lvis-minival", "coco/", "lvis_v1_minival_inserted_image_name.json"),
    ],
)
def test_an_lvis_folder_from_end_to_end(cli, tmp_path, suite, below, name):
    write_lvis(tmp_path / "data", below=below, name=name)
    if not below:  # the layout without coco/
        for split in ("train2017", "val2017"):
            (tmp_path / "data/coco" / split).rename(tmp_path / "data" / split)
    results = tmp_path / "results"
    run = ("run", "--suite", suite, "--data-root", tmp_path / "data", "--mode", "zero-shot", "--results", results)
    plan = cli(*run, "--dry-run")
    assert plan.code == 0, plan.err
    done = cli(*run)
    assert done.code == 0, done.err
    assert "APr" in done.out
    record = read_record(only(results / suite / "glip-nano" / suite))
    assert record.spec.eval_split == "val"
    assert record["evaluation"]["classes_per_caption"] == 40
    assert len(record.metrics["per_class"]) == 160
    assert record.metrics["plain"]["AP"] is not None
    assert record.ap > 0
    scored = cli(
        "score", "--suite", suite, "--data-root", tmp_path / "data", "--model-name", "again",
        "--predictions", record.folder / "predictions.json", "--results", results, "--json",
    )  # fmt: skip
    assert json.loads(scored.out)["records"][0]["metrics"] == record.content["metrics"]


def test_a_prompt_of_all_of_lvis_cannot_be_tuned():
    with pytest.raises(InputError, match=r"'full' is not for 'mini-lvis'.*only a whole one can be tuned"):
        prepare(RunSpec("mini-lvis", suite="mini-lvis", mode="full", shots=1))


def test_predictions_say_what_they_count_for_in_all_or_none(cli, tmp_path):
    entry = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}
    (tmp_path / "p.json").write_text(json.dumps([entry | {"counts": "both"}, entry]))
    line = cli(
        "score", "--suite", "mini-lvis", "--predictions", tmp_path / "p.json", "--model-name", "mine",
        "--results", tmp_path,
    ).refused()  # fmt: skip
    assert "predictions[1].counts must be fixed, plain, both in all or none" in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": [{"id": 1, "width": 9, "height": 9}]}, "neither file_name nor a coco_url"),
        ({"categories": [{"id": 1, "name": "bow"}]}, "has the frequency None"),
        ({"annotations": None}, "it needs lists of objects"),
        ({"images": [{"id": "1", "file_name": "a.jpg", "width": 9, "height": 9}]}, "must be a whole number"),
        (
            {"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9, "neg_category_ids": [5]}]},
            "neg_category_ids must be a list of category ids",
        ),
        ({"images": [{"id": 1, "coco_url": "x/../a.jpg", "width": 9, "height": 9}]}, "inside the image folder"),
    ],
)
def test_bad_lvis_files_are_refused_in_one_line(changes, words):
    good = {
        "images": [{"id": 1, "coco_url": "http://x/val2017/1.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": "bow", "frequency": "r"}],
        "annotations": [],
    }
    assert lvis_annotations(good, where="file")["images"][0]["file_name"] == "val2017/1.jpg"
    with pytest.raises(InputError, match=words) as caught:
        lvis_annotations(good | changes, where="file")
    assert "\n" not in str(caught.value)


def test_a_missing_picture_is_named(cli, tmp_path):
    write_lvis(tmp_path / "data", images=2)
    (tmp_path / "data/coco/val2017").rename(tmp_path / "data/coco/elsewhere")
    done = cli("run", "--suite", "lvis", "--data-root", tmp_path / "data", "--mode", "zero-shot", "--results", tmp_path)
    assert done.code == 2
    assert "val2017" in done.err


def test_missing_data_say_where_to_get_them(cli, tmp_path):
    line = cli(
        "run", "--suite", "lvis", "--data-root", tmp_path, "--mode", "zero-shot", "--results", tmp_path
    ).refused()
    assert "lvis_od_val.json" in line
    assert "lvisdataset.org" in line


# -- the miniature ---------------------------------------------------------------------------------------------


def test_the_drawn_counterpart_is_federated_and_has_a_long_tail():
    split = open_split(load_task("mini-lvis", "mini-lvis"), "test")
    content = split.annotations
    frequencies = [category["frequency"] for category in content["categories"]]
    assert len(frequencies) == 160
    assert {"r", "c", "f"} == set(frequencies)
    truth = LvisTruth(content)
    assert len({category for category, _ in truth.truths}) > 150  # a thing that others hide has no box
    assert any(image["not_exhaustive_category_ids"] for image in content["images"])
    per_group = dict.fromkeys("rcf", 0)
    for (category, _), boxes in truth.truths.items():
        per_group[frequencies[category - 1]] += len(boxes.ids)
    assert per_group["f"] / 40 > 2 * per_group["c"] / 60 > 2 * per_group["r"] / 60
    assert isinstance(split.image(1), Image.Image)
    assert open_split(load_task("mini-lvis", "mini-lvis"), "test").sha256 == split.sha256
