"""A run is a detector that can be loaded and asked."""

from __future__ import annotations

import pytest
import torch

import odinw_bench
from glip_core import InputError
from odinw_bench import RunSpec, load_run, load_task, run
from odinw_bench.datasets.sources import open_split

QUICK = {"epochs": 1, "repeats_per_epoch": 8, "min_steps_per_epoch": 1}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    specs = {
        "prompt": RunSpec(dataset="raccoon", mode="prompt", shots=1, overrides=QUICK),
        "dyhead": RunSpec(dataset="raccoon", model="dyhead-nano", mode="linear", shots=1, overrides=QUICK),
        "zero-shot": RunSpec(dataset="raccoon", mode="zero-shot"),
    }
    return {name: run(spec, results) for name, spec in specs.items()}


@pytest.fixture(scope="module")
def photo():
    split = open_split(load_task("raccoon", "mini"), "test")
    return split.image(split.image_ids[0])


@pytest.mark.parametrize("name", ["prompt", "dyhead", "zero-shot"])
def test_its_own_prompt_is_the_default(records, photo, name):
    detector = load_run(records[name], "cpu")
    found = detector.predict(photo)
    assert set(found.names) <= set(detector.prompt.names)
    again = load_run(records[name].folder, "cpu").predict([photo, photo], threshold=0.2)
    assert len(again) == 2
    assert torch.equal(again[0].scores, found.above(0.2).scores)
    assert "raccoon" in repr(detector)


def test_another_prompt_is_asked_without_what_was_tuned_for_the_first(records, photo):
    tuned, plain = load_run(records["prompt"], "cpu"), load_run(records["zero-shot"], "cpu")
    one, other = tuned.predict(photo, "dog. cat"), plain.predict(photo, "dog. cat")
    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.scores, other.scores)
    own = tuned.predict(photo)  # and it is there again afterwards
    assert not torch.equal(own.scores, plain.predict(photo).scores)


def test_a_class_layer_knows_its_own_classes_only(records, photo):
    with pytest.raises(InputError, match="class layer for"):
        load_run(records["dyhead"], "cpu").predict(photo, "dog")


def test_a_run_without_its_tuned_part_is_refused(records):
    folder = records["prompt"].folder
    tuned = folder / "tuned.safetensors"
    kept = tuned.read_bytes()
    tuned.unlink()
    try:
        with pytest.raises(InputError, match=r"tuned\.safetensors"):
            load_run(folder, "cpu")
    finally:
        tuned.write_bytes(kept)


def test_the_public_names_are_all_there():
    assert {"load_run", "run", "RunSpec", "evaluate", "pick_shots"} <= set(dir(odinw_bench))
    assert all(getattr(odinw_bench, name) is not None for name in odinw_bench.__all__)
