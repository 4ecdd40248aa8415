"""What tuning destroys: what is asked again, the numbers of the record, and that a prompt destroys nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import odinw_bench
from glip_core import InputError
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets import retained
from odinw_bench.datasets.retained import RetainedTask, RetainedTasks, open_retained, wanted_tasks
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.distributed import SINGLE_PROCESS
from odinw_bench.mini.seen import IMAGES, render_seen, seen_tasks
from odinw_bench.runs import retention
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import SCHEMA, write_record
from odinw_bench.runs.schema import RunRecord
from tests.cli.conftest import write_dataset

QUICK = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}


def spec(mode="prompt", **changes) -> RunSpec:
    return RunSpec(dataset="packages", mode=mode, shots=3, overrides=QUICK, **changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same task by three modes, each asked for hands again."""
    results = tmp_path_factory.mktemp("results")
    modes = ("prompt", "full", "prompt+lora")
    return results, {mode: odinw_bench.run(spec(mode, retention=("egohands",)), results) for mode in modes}


def test_a_tuned_prompt_destroys_nothing(runs):
    _, records = runs
    found = records["prompt"].retention
    assert found["tasks"] == ["mini/egohands"]
    assert found["images"] == IMAGES
    assert found["retained_AP"] == found["base_AP"] > 10  # exactly: another prompt does not use the offset
    assert found["by_task"] == {"mini/egohands": {name: found[name] for name in ("retained_AP", "base_AP")}}


@pytest.mark.parametrize("mode", ["full", "prompt+lora"])
def test_changed_weights_change_what_was_known(runs, mode):
    _, records = runs
    found = records[mode].retention
    assert found["base_AP"] == records["prompt"].retention["base_AP"]
    assert found["retained_AP"] != found["base_AP"]


def test_the_metrics_are_those_of_a_run_that_is_not_asked_again(runs, tmp_path):
    plain = odinw_bench.run(spec("full"), tmp_path)
    assert plain.metrics == runs[1]["full"].metrics
    assert "retention" not in plain
    assert not (tmp_path / retention.FOLDER).exists()


def test_it_is_part_of_the_identity_only_where_it_is_asked_for(tmp_path):
    plain, asked = (prepare(spec(**more), tmp_path) for more in ({}, {"retention": ("egohands",)}))
    named = prepare(spec(retention=["mini/EgoHands"]), tmp_path)  # the same data by another name
    assert plain.digest != asked.digest == named.digest
    assert "retention" not in plain.spec.to_json()
    assert RunSpec(**asked.spec.to_json()).retention == ("egohands",)


@pytest.mark.parametrize("changes", [{"mode": "zero-shot"}, {"model": "dyhead-nano", "mode": "full"}])
def test_there_is_nothing_to_lose_without_tuning_or_without_a_prompt(changes, tmp_path):
    fields = {"dataset": "packages", **changes}
    one = RunSpec(**fields, retention=("egohands",))
    assert one == RunSpec(**fields)
    assert prepare(one, tmp_path).digest == prepare(RunSpec(**fields), tmp_path).digest


def test_the_base_is_measured_once(runs, monkeypatch):
    results, records = runs
    (kept,) = (results / retention.FOLDER).iterdir()
    content = json.loads(kept.read_text())
    cell = prepare(spec(retention=("egohands",)), results)
    monkeypatch.setattr(retention, "measure", lambda *_: {"mini/egohands": 1.0})
    base = records["full"].retention["base_AP"]

    def measured() -> float:
        return retention.measure_base(None, cell, results, SINGLE_PROCESS)["mini/egohands"]

    assert measured() == base
    for damaged in ("{", "[]", json.dumps(content | {"key": "another"}), json.dumps(content | {"AP": {"a": "b"}})):
        kept.write_text(damaged)
        assert measured() == 1.0
    kept.write_text(json.dumps(content))
    other = replace(cell, spec=replace(cell.spec, precision="bf16"))
    assert retention.measure_base(None, other, results, SINGLE_PROCESS) == {"mini/egohands": 1.0}


def test_the_miniature_asks_for_seen_names_of_other_tasks():
    own = load_task("thermal", "mini")
    names = [task.name for task in wanted_tasks(["mini"], own)]
    assert names == [name for name in seen_tasks() if name != "thermal"]
    assert "packages" not in names  # it has no seen name
    found = RetainedTasks().of(["mini"], own)
    by_name = {one.task.name: one for one in found}
    assert by_name["shellfish"].task.class_names == ["Crab"]
    assert by_name["shellfish"].split.class_names == ["Crab"]


@pytest.mark.parametrize("name", seen_tasks())
def test_the_drawn_images_are_the_first_of_the_test_split(name):
    found, split = open_retained(load_task(name, "mini")), open_split(load_task(name, "mini"), "test")
    assert 8 <= len(found.split) <= IMAGES
    assert found.task.class_names == found.split.class_names
    for image_id in found.split.image_ids:
        boxes, labels = found.split.targets(image_id)
        assert len(boxes) > 0
        whole, all_labels = split.targets(image_id)
        kept = [found.split.category_ids[label] for label in labels]
        known = [split.category_ids[label] in found.split.category_ids for label in all_labels]
        assert kept == [split.category_ids[label] for label in all_labels[known]]
        assert np.array_equal(boxes, whole[known])
    first = found.split.image_ids[0]
    assert np.array_equal(np.asarray(found.split.image(first)), np.asarray(split.image(first)))


def test_pictures_are_the_callers_own():
    annotations, picture = render_seen("thermal")
    name = annotations["images"][0]["file_name"]
    picture(name).putdata([(0, 0, 0)] * 160 * 160)
    assert np.asarray(picture(name)).any()


def test_of_a_large_data_set_a_fixed_choice_is_asked_for(monkeypatch):
    monkeypatch.setattr(retained, "IMAGES", 5)
    (task,) = wanted_tasks(["mini-coco"], load_task("thermal", "mini"))
    first, again = open_retained(task), open_retained(task)
    assert len(first.split) == 5
    assert first.identity == again.identity
    assert first.split.image_ids != open_split(task, "test").image_ids[:5]


def test_paths_are_asked_whatever_is_tuned_on(tmp_path):
    """The user's own data sets are of no suite, in which a name could be looked up."""
    own, other = (load_task(write_dataset(tmp_path / name)) for name in ("own", "other"))
    assert [task.place for task in wanted_tasks([other.place], own)] == [other.place]
    assert [task.name for task in wanted_tasks(["mini/egohands"], own)] == ["egohands"]
    with pytest.raises(InputError, match=r"--retention: folder 'miny' not found; did you mean 'mini'"):
        wanted_tasks(["miny"], own)


def test_replaced_pictures_are_another_run_but_a_finished_one_of_before_counts(tmp_path):
    folder = write_dataset(tmp_path / "pets")
    asked = spec(retention=(str(folder),))
    before = prepare(asked, tmp_path)
    (one,) = before.retained
    Image.new("RGB", (64, 48), "red").save(one.split.folder / one.split.file_name(one.split.image_ids[0]))
    after = prepare(asked, tmp_path)
    assert after.digest != before.digest
    with pytest.MonkeyPatch.context() as context:
        context.setattr(RetainedTask, "identity", RetainedTask.identity_without_pictures)
        earlier = prepare(asked, tmp_path)
    assert earlier.digest not in (before.digest, after.digest)
    write_done(earlier)
    assert prepare(asked, tmp_path).digest == earlier.digest
    assert prepare(asked, tmp_path, force=True).digest == after.digest
    write_done(after)
    assert prepare(asked, tmp_path).digest == after.digest


def write_done(cell):
    """A finished run, as far as a plan looks at it."""
    cell.folder.mkdir(parents=True)
    fields = {"schema": SCHEMA, "spec": cell.spec.to_json(), "digest": cell.digest, "status": "done"}
    write_record(cell.folder, fields | {"metrics": {"AP": 1.0}})


def test_two_data_sets_of_one_name_are_two(tmp_path):
    folders = [write_dataset(tmp_path / place / "pets", images=images) for place, images in (("a", 2), ("b", 3))]
    cell = prepare(spec(retention=(*map(str, folders), "egohands")), tmp_path)
    names = [one.name for one in cell.retained]
    assert names == ["custom/a-pets", "custom/b-pets", "mini/egohands"]
    assert [one.identity["task"] for one in cell.retained] == ["custom/pets", "custom/pets", "mini/egohands"]
    (alone,) = prepare(spec(retention=(str(folders[0]),)), tmp_path).retained
    assert alone.name == "custom/pets"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("no-such-task", "--retention: unknown task 'no-such-task' in suite 'mini'"),
        ("mini-lvis", "is not tested by COCO's AP"),
        ("packages", "names nothing beside 'packages', which is tuned on"),
        ("mini/nowhere", "unknown task 'nowhere'"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_work(wanted, message, tmp_path, cli):
    answer = cli("run", "--dataset", "packages", "--retention", wanted, "--results", tmp_path / "r")
    assert message in answer.refused()
    assert not (tmp_path / "r").exists()


def test_a_record_with_an_impossible_value_is_refused(runs):
    content = {**runs[1]["prompt"], "retention": {"retained_AP": 101.0, "base_AP": 3.0}}
    with pytest.raises(InputError, match=r"retention\.retained_AP must be a number from 0 to 100"):
        RunRecord.from_json(content)


def test_the_table_and_show_have_it(runs, cli):
    results, records = runs
    command = ["run", "--dataset", "packages", "--mode", "prompt,zero-shot", "--shots", 3, "--retention", "egohands"]
    answer = cli(
        *command, "--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1", "--results", results, "--workers", 1
    )
    assert answer.code == 0
    assert "retained" in answer.out
    shown = cli("show", records["prompt"].folder)
    base = records["prompt"].retention["base_AP"]
    assert f"{base:.1f}, {base:.1f}" in shown.out
    as_json = json.loads(cli("show", records["prompt"].folder, "--json").out)
    assert as_json["retention"]["base_AP"] == base


def test_a_file_of_options_may_ask_for_it(tmp_path, cli):
    (tmp_path / "grid.yaml").write_text("dataset: packages\nmode: full\nretention: [egohands, thermal]\n")
    answer = cli("run", "--config", tmp_path / "grid.yaml", "--dry-run", "--json", "--results", tmp_path / "r")
    assert json.loads(answer.out)["grid"]["retention"] == ["egohands", "thermal"]
