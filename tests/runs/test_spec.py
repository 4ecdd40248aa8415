"""Specs, their identity, and grids."""

from __future__ import annotations

import pickle

import pytest

from glip_core import InputError
from odinw_bench import Adapter, RunSpec
from odinw_bench.runs.grid import expand_grid
from odinw_bench.runs.schema import RecordedSpec
from odinw_bench.runs.spec import MODES, TEXT_MODES, UNTUNED

IDENTITY = {"weights": "abc", "data": {"test": "1"}}


def test_the_digest_changes_with_everything_that_can_change_numbers():
    base = RunSpec(dataset="aquarium")
    others = [
        RunSpec(dataset="aquarium", model="glip-t", protocol="mini-1"),
        RunSpec(dataset="aquarium", seed=30),
        RunSpec(dataset="aquarium", shots="all"),
        RunSpec(dataset="aquarium", mode="full"),
        RunSpec(dataset="aquarium", precision="bf16"),
        RunSpec(dataset="aquarium", protocol="odinw-glip-1"),
        RunSpec(dataset="aquarium", eval_split="val"),
    ]
    digests = {spec.digest(IDENTITY) for spec in [base, *others]}
    assert len(digests) == len(others) + 1
    assert base.digest(IDENTITY) == RunSpec(dataset="aquarium", shots=5, mode="prompt").digest(IDENTITY)
    assert base.digest(IDENTITY) != base.digest(IDENTITY | {"weights": "abd"})


def test_the_digest_is_of_what_names_stand_for():
    """However weights, data and hyper-parameters are named: they count as the identities."""
    base = RunSpec(dataset="aquarium", mode="manual")
    named = RunSpec(
        dataset="./Aquarium", suite="./mini", mode="manual", weights="w.pth", attributes="a.yaml", overrides={"lr": 1}
    )
    assert base.digest(IDENTITY) == named.digest(IDENTITY)


def test_a_spec_can_be_a_key():
    spec = RunSpec(dataset="x", overrides={"lr": 0.1})
    assert {spec: 1}[RunSpec(dataset="x", overrides={"lr": 0.1})] == 1
    assert spec != RunSpec(dataset="x")
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_modes_are_those_of_the_core():
    """They are listed twice, because the core's list comes with torch."""
    from glip_core.tuning import MODES as CORE

    assert tuple(CORE) == MODES
    assert {name for name, mode in CORE.items() if not mode.tunes} == set(UNTUNED)
    assert {name for name, mode in CORE.items() if mode.needs_text} == set(TEXT_MODES)


class Mine(Adapter):
    name = "mine"
    title = "A detector of another package"

    @classmethod
    def identify(cls, weights):
        return "0"

    def __init__(self, weights, device):
        pass

    def detect(self, image, prompt):
        raise NotImplementedError


class Moved(Mine):
    """The same one in another place."""


def test_the_class_of_a_detector_is_recorded_and_no_part_of_the_digest():
    here, there = (
        RunSpec(dataset="aquarium", model=f"{__name__}:{name}", mode="zero-shot") for name in ("Mine", "Moved")
    )
    assert here.to_json()["model_class"] == f"{__name__}:Mine"
    assert RecordedSpec.from_json(there.to_json()).model_class == f"{__name__}:Moved"
    assert here.digest(IDENTITY) == there.digest(IDENTITY)
    for known in ("glip-nano", "grounding-dino-t", "gdino-nano"):
        assert "model_class" not in RunSpec(dataset="aquarium", model=known, mode="zero-shot").to_json()
    with pytest.raises(InputError, match=r"spec\.model_class must be a text"):
        RecordedSpec.from_json(here.to_json() | {"model_class": ["os"]})


def test_the_digest_is_the_same_tomorrow():
    """Records of earlier versions must be found again: this value may change only with a new protocol or schema."""
    digest = RunSpec(dataset="aquarium", protocol="mini-1").digest(IDENTITY)
    assert digest.startswith(DIGEST), digest
    assert not RunSpec(dataset="aquarium").digest(IDENTITY).startswith(DIGEST)


DIGEST = "1f84ec301d1c2500"


def test_modes_that_tune_nothing_have_no_shots():
    assert RunSpec(dataset="x", mode="zero-shot", shots=5).shots == 0
    assert RunSpec(dataset="x", mode="manual", shots="all").shots == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "promt"}, "did you mean 'prompt'"),
        ({"model": "glip-x"}, "unknown model 'glip-x'"),
        ({"shots": 0}, "shots must be 1 or more"),
        ({"shots": -1}, "shots must be a number"),
        ({"shots": True}, "shots must be a number"),
        ({"shots": "some"}, "shots must be a number"),
        ({"seed": -3}, "seed must be a whole number"),
        ({"seed": "3"}, "seed must be a whole number"),
        ({"precision": "int8"}, "unknown precision"),
        ({"model": "dyhead-nano"}, "has a class head and no prompt"),
        ({"attributes": "a.yaml"}, "for the mode 'manual'"),
    ],
)
def test_impossible_specs(arguments, message):
    with pytest.raises(InputError, match=message):
        RunSpec(dataset="x", **arguments)


def test_the_protocol_follows_the_model():
    assert RunSpec(dataset="x").protocol_name == RunSpec(dataset="x", protocol="mini").protocol_name == "mini-2"
    assert RunSpec(dataset="x", protocol="mini-1").protocol_name == "mini-1"
    untuned_nano = {"dataset": "x", "mode": "zero-shot"}  # as below
    assert RunSpec(**untuned_nano).protocol_name == RunSpec(**untuned_nano, protocol="mini").protocol_name == "mini-1"
    real = {"dataset": "x", "model": "glip-t", "suite": "odinw13"}
    assert RunSpec(**real).protocol_name == RunSpec(**real, protocol="odinw-glip").protocol_name == "odinw-glip-3"
    assert RunSpec(**real, shots="all").protocol_name == "odinw-glip-3"
    untuned = {**real, "mode": "zero-shot"}  # knows no recipe: the name that it always had, for its digest
    assert RunSpec(**untuned).protocol_name == RunSpec(**untuned, protocol="odinw-glip").protocol_name == "odinw-glip-1"
    assert RunSpec(**real, protocol="odinw-glip-readme").protocol_name == "odinw-glip-readme-2"
    assert RunSpec(dataset="x", protocol="odinw-glip-1").protocol_name == "odinw-glip-1"


def grid(**changes):
    arguments = {
        "models": ["glip-nano"],
        "suite": "mini",
        "datasets": ["aquarium", "raccoon"],
        "modes": ["prompt"],
        "shots": [5],
        "seeds": [3],
    }
    return expand_grid(**(arguments | changes))


def test_a_grid_is_the_product_without_repetitions():
    cells, notes = grid(modes=["zero-shot", "prompt"], shots=[1, 5], seeds=[3, 30])
    zero = [c for c in cells if c.mode == "zero-shot"]
    assert len(zero) == 2  # one a dataset, whatever the shots and seeds
    assert len(cells) - len(zero) == 2 * 2 * 2
    assert not notes


def test_what_cannot_be_is_left_out_of_a_grid_with_a_note():
    cells, notes = grid(models=["glip-nano", "dyhead-nano"], modes=["prompt", "full"], shots=[0, 5])
    assert {(c.model, c.mode) for c in cells} == {
        ("glip-nano", "prompt"),
        ("glip-nano", "full"),
        ("dyhead-nano", "full"),
    }
    assert all(c.shots == 5 for c in cells)
    assert any("class head" in note for note in notes)


def test_hyper_parameters_of_one_mode_make_no_other_run_of_the_others():
    base = {"overrides": {"adapter_rank": 4, "lr": 0.1}}
    cells, notes = grid(modes=["zero-shot", "prompt", "lora"], base=base)
    assert {cell.mode: dict(cell.overrides) for cell in cells if cell.mode != "zero-shot"} == {
        "prompt": {"lr": 0.1},
        "lora": {"adapter_rank": 4, "lr": 0.1},
    }
    assert notes == ["prompt does not read adapter_rank: done as without"]
    with pytest.raises(InputError, match="prompt and full do not read adapter_rank, which lora"):
        grid(modes=["zero-shot", "prompt", "full"], base=base)
    assert grid(modes=["zero-shot"], base=base)[0]


def test_attributes_are_for_the_manual_cells():
    cells, notes = grid(modes=["manual", "prompt"], base={"attributes": "a.yaml"})
    assert {(c.mode, c.attributes) for c in cells} == {("manual", "a.yaml"), ("prompt", None)}
    assert not notes
    with pytest.raises(InputError, match="for the mode 'manual'"):
        grid(base={"attributes": "a.yaml"})


def test_the_same_asked_for_alone_is_an_error():
    with pytest.raises(InputError, match="class head"):
        grid(models=["dyhead-nano"])
    with pytest.raises(InputError, match="did you mean 'prompt'"):
        grid(modes=["promt", "full"])
    with pytest.raises(InputError, match="unknown model"):
        grid(models=["glip-nano", "glip-q"])
