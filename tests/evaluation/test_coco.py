"""COCO 2017 as a suite: 80 names in a caption, ids with gaps, a part of training held out."""

from __future__ import annotations

import json

import pytest

from glip_core import Prompt
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.suites.coco import HELD_OUT
from odinw_bench.mini.world import COMMON
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import read_record
from tests.evaluation.made import write_coco


@pytest.fixture
def data(tmp_path):
    return write_coco(tmp_path / "data")


def test_the_caption_is_the_official_one(shared):
    official = json.loads((shared / "evaluators/lvis_prompts.json").read_text())["coco80"]
    task = load_task("coco", "coco")
    assert [one.category_id for one in task.classes] == official["json_category_ids"]
    assert Prompt.from_classes(task.class_names).caption == official["caption"]


@pytest.mark.parametrize("below", ["coco/", ""])
def test_a_coco_folder_from_end_to_end(cli, tmp_path, below):
    data = write_coco(tmp_path / "data", below=below)
    results = tmp_path / "results"
    run = ("run", "--suite", "coco", "--data-root", data, "--results", results, "--engine", "local")
    done = cli(*run, "--mode", "zero-shot")
    assert done.code == 0, done.err
    (folder,) = (results / "coco/glip-nano/coco").iterdir()
    record = read_record(folder)
    assert record.spec.eval_split == "val"
    assert not record.evaluation
    assert len(record.metrics["per_class"]) == 80
    assert "90" in record.metrics["per_class"]
    listed = cli("data", "list", "--suite", "coco", "--data-root", data)
    assert "yes" in listed.out


def test_tuning_selects_on_a_part_of_the_training_images(cli, tmp_path, data):
    run = ("run", "--suite", "coco", "--data-root", data, "--results", tmp_path / "r", "--mode", "linear")
    done = cli(
        *run,
        "--model",
        "dyhead-nano",
        "--shots",
        "1",
        "--set",
        "epochs=1,eval_every=1,repeats_per_epoch=1,min_steps_per_epoch=1",
        "--engine",
        "local",
    )
    assert done.code == 0, done.err
    (folder,) = (tmp_path / "r/coco/dyhead-nano/coco").iterdir()
    record = read_record(folder)
    assert record.protocol["validation_split"] == HELD_OUT
    assert record.data["validation_images"] == 1
    task = load_task("coco", "coco")
    train, held_out, val = (open_split(task, name, data) for name in ("train", HELD_OUT, "val"))
    assert (len(train), len(held_out), len(val)) == (23, 1, 3)
    assert not {*train.image_ids} & {*held_out.image_ids}
    assert len({split.sha256 for split in (train, held_out, val)}) == 3


def test_test_means_val_and_both_are_one_run(data):
    one = prepare(RunSpec("coco", suite="coco", mode="zero-shot"), data_root=data)
    other = prepare(RunSpec("coco", suite="coco", mode="zero-shot", eval_split="val"), data_root=data)
    assert one.digest == other.digest
    assert one.spec.eval_split == "val"


def test_missing_data_say_where_to_get_them(cli, tmp_path):
    line = cli(
        "run", "--suite", "coco", "--data-root", tmp_path, "--mode", "zero-shot", "--results", tmp_path
    ).refused()
    assert "instances_val2017.json" in line
    assert "cocodataset.org" in line


def test_the_drawn_counterpart_has_the_names_of_pre_training():
    task = load_task("mini-coco", "mini-coco")
    assert set(task.class_names) == set(COMMON)
    for name in ("train", "val", "test"):
        split = open_split(task, name)
        assert {box["category_id"] for box in split.annotations["annotations"]} == set(split.category_ids)


def test_the_report_has_a_section_of_it(cli, tmp_path, data):
    """With no word of the split, which is the usual one, and the paper's table beside it."""
    run = ("run", "--suite", "coco", "--data-root", data, "--results", tmp_path / "r", "--mode", "zero-shot")
    assert cli(*run).code == 0
    done = cli("report", "--results", tmp_path / "r", "--out", tmp_path / "out", "--pictures", 0)
    assert done.code == 0, done.err
    text = (tmp_path / "out/report.md").read_text()
    assert "Suite coco" in text
    assert "on val" not in text.split("The GLIP paper's tables")[0]
    assert "Table 2: COCO val2017" in text
