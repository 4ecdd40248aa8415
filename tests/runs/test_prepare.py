"""What a spec stands for, and its identity."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections import Counter

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from glip_core import InputError
from glip_core.checkpoint import EMBEDDED
from glip_core.files import file_sha256
from odinw_bench import RunSpec, load_task, run
from odinw_bench.datasets import picture_hashes, store
from odinw_bench.datasets.picture_hashes import pictures_sha256
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.store import SplitStore
from odinw_bench.engine.recipes import RECORDED
from odinw_bench.models import BUILT_IN
from odinw_bench.runs import prepare as preparation
from odinw_bench.runs import spec as specs
from odinw_bench.runs.prepare import prepare


def digest(**changes) -> str:
    return prepare(RunSpec(**({"dataset": "packages", "shots": 1} | changes))).digest


def test_one_run_has_one_digest_however_it_is_asked_for(tmp_path):
    weights = tmp_path / "copy.safetensors"
    shutil.copy(EMBEDDED / "glip-nano.safetensors", weights)
    default = digest()
    assert digest(dataset="Packages") == default
    assert digest(overrides={"lr": "0.1"}) == digest(overrides={"lr": 0.1})
    repeats = prepare(RunSpec(dataset="packages", shots=1, protocol="mini-1")).settings.repeats_per_epoch
    assert digest(protocol="mini-1", overrides={RECORDED["repeats_per_epoch"]: repeats}) == digest(protocol="mini-1")
    assert digest(weights=str(weights)) == default
    assert digest(protocol="mini-2") == digest(protocol="mini") == default
    assert digest(protocol="mini-1") != default


def test_what_can_change_the_numbers_changes_the_digest(tmp_path):
    weights = tmp_path / "other.safetensors"
    save_file({**load_file(EMBEDDED / "glip-nano.safetensors"), "one.more": torch.zeros(1)}, weights)
    attributes = tmp_path / "a.yaml"
    attributes.write_text("package: {suffix: ', a box'}")
    digests = [
        digest(),
        digest(dataset="pothole"),
        digest(shots=3),
        digest(seed=30),
        digest(mode="full"),
        digest(mode="zero-shot"),
        digest(mode="manual"),
        digest(mode="manual", attributes=str(attributes)),
        digest(weights=str(weights)),
        digest(overrides={"lr": 0.05}),
        digest(eval_split="val"),
        digest(precision="bf16"),
    ]
    assert len(set(digests)) == len(digests)


def test_weights_that_were_replaced_are_hashed_again(tmp_path):
    weights = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, weights)
    first = digest(weights=str(weights))
    save_file({"a": torch.ones(1)}, weights)
    os.utime(weights, (1, 1))
    assert digest(weights=str(weights)) != first


@pytest.mark.parametrize("model", ["hf:ckpt", "gdino-nano"])
def test_a_folder_that_was_overwritten_is_hashed_again(tmp_path, monkeypatch, model):
    """Also where another folder of that name is meant, since the working directory is another one."""
    folder = tmp_path / "ckpt"
    shutil.copytree(BUILT_IN["gdino-nano"].repository, folder)
    monkeypatch.chdir(tmp_path)
    asked = {"model": model, "mode": "zero-shot", "weights": None if model.startswith("hf:") else "ckpt"}
    first = digest(**asked)
    assert digest(**asked) == first
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    second = digest(**asked)
    assert second != first
    other = tmp_path / "elsewhere"
    shutil.copytree(BUILT_IN["gdino-nano"].repository, other / "ckpt")
    monkeypatch.chdir(other)
    assert digest(**asked) == first


def test_untuned_modes_need_neither_training_nor_validation_data():
    prepared = prepare(RunSpec(dataset="packages", mode="manual"))
    assert (prepared.settings, prepared.train, prepared.validation, prepared.few_shot) == (None, None, None, None)
    assert "package" in prepared.prompt.caption
    assert prepared.prompt.caption != "package"


def test_selection_on_k_shots_of_the_validation_split():
    whole = prepare(RunSpec(dataset="packages", shots=1))
    few = prepare(RunSpec(dataset="packages", shots=1, overrides={"few_shot_validation": True}))
    assert len(few.validation) < len(whole.validation)
    assert len(few.train) == len(whole.train) == 1


def test_the_store_shares_splits_of_one_task():
    store = SplitStore()
    first = prepare(RunSpec(dataset="packages", shots=1), splits=store)
    second = prepare(RunSpec(dataset="packages", shots=3), splits=store)
    assert first.test is second.test
    other = prepare(RunSpec(dataset="pothole", shots=1), splits=store)
    assert other.test.class_names == ["pothole"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "package"}, "did you mean 'packages'"),
        ({"mode": "zero-shot", "overrides": {"epoch": 1}}, "did you mean 'epochs'"),
        ({"protocol": "mini-9"}, "did you mean 'mini-"),
        ({"weights": "nowhere.pth"}, "checkpoint 'nowhere.pth' not found"),
        ({"eval_split": "tset"}, "has no split 'tset'"),
        ({"mode": "manual", "attributes": "nowhere.yaml"}, "attributes file 'nowhere.yaml' not found"),
    ],
)
def test_slips(changes, message):
    with pytest.raises(InputError, match=message):
        digest(**changes)


def test_names_are_looked_up_once(cli, tmp_path, monkeypatch):
    """From the command line to the record, a run of one cell finds its task and opens its data once."""
    looked_up = Counter()

    def counted(module, name):
        real = getattr(module, name)

        def count(*arguments, **options):
            looked_up[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, count)

    for name in ("load_task", "open_split", "few_shot_subset"):
        counted(store, name)
    for name in ("find_model", "hyperparameters"):
        counted(preparation, name)
    counted(specs, "model_facts")
    options = ("--mode", "prompt", "--shots", "1", "--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1")
    answer = cli("run", "--dataset", "packages", *options, "--engine", "local", "--results", tmp_path, "--quiet")
    assert answer.code == 0, answer.err
    assert looked_up.pop("open_split") == 3  # train, validation, test
    assert looked_up.pop("model_facts") == 2  # of the grid's model, and of the cell's
    assert set(looked_up.values()) == {1}, looked_up


def test_a_cell_can_be_sent_to_another_process():
    cell = prepare(RunSpec(dataset="packages", shots=1))
    sent = pickle.loads(pickle.dumps(cell))
    assert sent.digest == cell.digest
    assert sent.test.annotations == cell.test.annotations
    first = cell.test.image_ids[0]
    assert sent.test.image(first).tobytes() == cell.test.image(first).tobytes()


def grey(folder):
    for path in folder.glob("test/*.jpg"):
        Image.new("RGB", (120, 80), (128, 128, 128)).save(path)


def test_other_pictures_are_another_run(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = RunSpec(str(pets), mode="zero-shot")
    before, again = prepare(spec, tmp_path), prepare(spec, tmp_path)
    assert before.digest == again.digest
    assert set(before.pictures_sha256) == {"test"}
    grey(pets)
    after = prepare(spec, tmp_path)
    assert after.digest != before.digest
    assert after.folder != before.folder
    assert prepare(RunSpec("packages", mode="zero-shot"), tmp_path).pictures_sha256 == {}


def test_pictures_are_read_once_and_never_believed_when_changed(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_hashes, "_SETTLED_NS", -1)
    read = []

    def counted(path):
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(picture_hashes, "file_sha256", counted)
    split = open_split(load_task(pets), "test")
    first = pictures_sha256(split)
    assert read == ["0.jpg", "1.jpg"]
    assert pictures_sha256(split) == first
    assert len(read) == 2
    path = pets / "test" / "0.jpg"
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # same size, same inode, same time of writing
    assert pictures_sha256(split) != first
    assert read[2:] == ["0.jpg"]
    (memory,) = (tmp_path / "cache").rglob("*.json")
    for content in ("", "[]", '{"files": 3}', '{"files": {"0.jpg": [1], "1.jpg": null}}'):
        changed = pictures_sha256(split)
        memory.write_text(content)
        assert pictures_sha256(split) == changed
    path.unlink()
    assert pictures_sha256(split) not in (first, changed)


def test_a_finished_record_of_schema_1_still_counts(pets, tmp_path, monkeypatch):
    """Its digest did not cover the pictures."""
    spec = RunSpec(str(pets), mode="zero-shot")
    with monkeypatch.context() as patched:
        patched.setattr(preparation, "pictures_sha256", lambda _: None)
        earlier = prepare(spec, tmp_path)
    done = run(spec, tmp_path)
    folder = prepare(spec, tmp_path).folder
    assert folder != earlier.folder
    content = {**done.to_json(), "schema": 1, "digest": earlier.digest}
    del content["files"], content["seal"]
    folder.rename(earlier.folder)
    (earlier.folder / "run.json").write_text(json.dumps(content))
    assert prepare(spec, tmp_path).folder == earlier.folder
    assert run(spec, tmp_path)["digest"] == earlier.digest  # not done again
    assert prepare(spec, tmp_path, force=True).folder == folder
    assert run(spec, tmp_path, force=True)["digest"] == done["digest"]
    assert prepare(spec, tmp_path).folder == folder  # the one that covers the pictures goes first
