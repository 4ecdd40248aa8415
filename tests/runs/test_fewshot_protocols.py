"""The two official ways to k shots: the prepared data, and the command of the README."""

from __future__ import annotations

import csv
import json

import pytest

from odinw_bench import RunSpec, load_task, pick_shots
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.runs.prepare import prepare
from tests.report import made

SPEC = {"dataset": "raccoon", "model": "glip-nano", "suite": "odinw13", "mode": "prompt", "shots": 3}


@pytest.fixture
def root(tmp_path, shared):
    """Real photos by link, so that subsets can lie beside the annotations."""
    source = shared / "odinw" / "data" / "Raccoon" / "Raccoon.v2-raw.coco"
    for split in ("train", "valid", "test"):
        folder = tmp_path / "data" / "Raccoon" / "Raccoon.v2-raw.coco" / split
        folder.mkdir(parents=True)
        for file in (source / split).iterdir():
            (folder / file.name).symlink_to(file)
    return tmp_path / "data"


def ids(split):
    return list(split.image_ids)


def test_prepared_data_are_k_shots_of_both_splits(root):
    cell = prepare(RunSpec(**SPEC, protocol="odinw-glip-2", seed=30), data_root=root)
    task = load_task("raccoon")
    for split, name in ((cell.train, "train"), (cell.validation, "val")):
        whole = open_split(task, name, root)
        assert ids(split) == pick_shots(whole.annotations, 3, 30)
        assert len(split) == 3
    assert (cell.few_shot, cell.few_shot_validation) == ("rule", "rule")


def test_ready_made_files_are_taken_for_both(root):
    folder = root / "Raccoon" / "Raccoon.v2-raw.coco"
    taken = {}
    for place, kind in (("train", "train"), ("valid", "val")):
        data = json.loads((folder / place / "annotations_without_background.json").read_text())
        data["images"] = data["images"][4:6]  # cut: the annotations of the others are still there
        taken[kind] = sorted(image["id"] for image in data["images"])
        (folder / place / f"fewshot_{kind}_shot3_seed3.json").write_text(json.dumps(data))
    cell = prepare(RunSpec(**SPEC, protocol="odinw-glip-2"), data_root=root)
    assert (ids(cell.train), ids(cell.validation)) == (taken["train"], taken["val"])
    assert (cell.few_shot, cell.few_shot_validation) == ("official-file", "official-file")
    assert any("does not list" in note for note in cell.train.notes)
    before = prepare(RunSpec(**SPEC, protocol="odinw-glip-1"), data_root=root)
    assert (ids(before.train), len(before.validation)) == (taken["train"], 29)  # what the name always meant
    assert before.few_shot_validation is None
    readme = prepare(RunSpec(**SPEC, protocol="odinw-glip-readme"), data_root=root)
    assert ids(readme.train) != taken["train"]
    assert readme.few_shot == "unshuffled"


def test_the_readmes_command_does_not_shuffle_and_selects_on_all(root):
    cells = [prepare(RunSpec(**SPEC, protocol="odinw-glip-readme", seed=seed), data_root=root) for seed in (3, 300)]
    whole = open_split(load_task("raccoon"), "train", root)
    for cell in cells:
        assert ids(cell.train) == sorted(whole.trainable_ids())[:3]  # one class: the first images that have it
        assert len(cell.validation) == 29


def test_recipes_differ_in_nothing_else():
    for mode in ("prompt", "linear", "full"):
        for shots in (1, 5, "all"):
            old, new, readme = (
                hyperparameters(name, mode, shots).to_json()
                for name in ("odinw-glip-1", "odinw-glip-2", "odinw-glip-readme-1")
            )
            few = shots != "all"
            assert new == old | {"few_shot_validation": few}
            assert readme == old | ({"shuffled_subset": False} if few else {})
            assert "shuffled_subset" not in old
            exact = {"train_precision": "fp16", "text_per_image": True, "min_positives": 4, "count_steps": True}
            exact |= {"tower_dropout": True} if mode == "linear" else {}
            assert hyperparameters("odinw-glip-3", mode, shots).to_json() == new | exact
            assert hyperparameters("odinw-glip-readme-2", mode, shots).to_json() == readme | exact


def test_the_report_tells_them_apart(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    for name in ("odinw-glip-1", "odinw-glip-3", "odinw-glip-readme-1"):
        one = made.spec(dataset="raccoon", mode="full", shots=5, model="glip-t", suite="odinw13", protocol=name)
        made.write(results, made.record(one, made.metrics(40.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    with (out / "tables" / "odinw13-headline.csv").open(encoding="utf-8", newline="") as stream:
        found = {row["model"] for row in csv.DictReader(stream)}
    assert found == {"glip-t", "glip-t (odinw-glip-1)", "glip-t (odinw-glip-readme-1)"}
