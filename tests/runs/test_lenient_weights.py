"""Weights with names that the model has no use for: refused by default, on request noted in the record."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import glip_core
import odinw_bench
from glip_core import InputError
from glip_core.checkpoint import named_tensors
from odinw_bench import RunSpec
from odinw_bench.models import find_model
from odinw_bench.runs.loading import load_run
from tests.cli.conftest import cli  # noqa: F401  a fixture

ODD = "rpn.head.novelty.weight"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    detector = glip_core.load("glip-nano")
    state = {name: tensor.detach().contiguous() for name, tensor in named_tensors(detector, detector.config).items()}
    path = tmp_path_factory.mktemp("weights") / "odd.safetensors"
    save_file(state | {ODD: torch.zeros(2)}, path)
    return path


def test_a_run_refuses_them_and_names_the_flag_or_notes_them(weights, tmp_path):
    spec = RunSpec(dataset="packages", mode="zero-shot", weights=str(weights))
    with pytest.raises(InputError, match=f"1 unused \\({ODD}\\); ignore them by --lenient-weights"):
        odinw_bench.run(spec, tmp_path)
    record = odinw_bench.run(spec, tmp_path, lenient_weights=True)
    assert record["ignored_weights"] == [ODD]
    plain = odinw_bench.run(RunSpec(dataset="packages", mode="zero-shot"), tmp_path)
    assert "ignored_weights" not in plain
    assert record.ap == plain.ap
    assert load_run(record, "cpu").model.ignored_weights == [ODD]


def test_the_commands_take_the_flag(weights, tmp_path, cli):  # noqa: F811
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(photo)
    asked = ("predict", photo, "--prompt", "fish", "--weights", weights, "--out", tmp_path, "--device", "cpu")
    refused = cli(*asked)
    assert refused.code == 2
    assert "--lenient-weights" in refused.err
    answer = cli(*asked, "--lenient-weights")
    assert answer.code == 0
    assert f"ignored in the weights: {ODD}" in answer.err
    grid = (
        "run",
        "--dataset",
        "packages",
        "--mode",
        "zero-shot",
        "--weights",
        weights,
        "--results",
        tmp_path,
        "--json",
    )
    done = cli(*grid, "--engine", "local", "--device", "cpu", "--lenient-weights")
    assert done.code == 0
    (path,) = tmp_path.glob("**/run.json")
    assert json.loads(path.read_text())["ignored_weights"] == [ODD]


def test_a_detector_that_cannot_says_so():
    with pytest.raises(InputError, match="leave --lenient-weights out"):
        find_model("grounding-dino-t").load_lenient(None, "cpu")
