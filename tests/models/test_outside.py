"""A detector and a dataset from outside the package: one class, one YAML."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from odinw_bench.runs.record import find_records
from tests.cli.conftest import write_dataset

pytestmark = pytest.mark.integration

DETECTOR = '''
import hashlib
import torch
from glip_core import Detections
from odinw_bench import Adapter


class Centre(Adapter):
    """Says that the first class fills the middle of every image."""

    name = "centre"
    title = "The middle"

    @classmethod
    def identify(cls, weights):
        return hashlib.sha256((weights or "").encode()).hexdigest()

    def __init__(self, weights, device):
        self.device = device

    def detect(self, image, prompt):
        w, h = image.size
        box = torch.tensor([[w / 4, h / 4, w * 3 / 4 - 1, h * 3 / 4 - 1]])
        return Detections(box, torch.tensor([0.9]), torch.tensor([0]))
'''

TASK = """
name: pets
title: Pets at home
eval_split: val
classes:
  - {id: 1, name: cat}
  - {id: 2, name: dog, manual: {prefix: "brown "}}
splits:
  train: {annotations: train/_annotations.coco.json, images: train}
  val: {annotations: valid/_annotations.coco.json, images: valid}
  test: {annotations: test/_annotations.coco.json, images: test}
"""


@pytest.fixture
def bench(tmp_path):
    """The program in a folder with a detector and a dataset of the user's."""
    (tmp_path / "mine.py").write_text(DETECTOR)
    (write_dataset(tmp_path / "pets") / "task.yaml").write_text(TASK)

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "odinw_bench", *arguments],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.mark.parametrize("engine", [["--engine", "local"], ["--workers", "2"]])
def test_a_detector_and_a_dataset_of_the_users(bench, tmp_path, engine):
    done = bench("run", "--model", "mine:Centre", "--dataset", "pets", "--mode", "zero-shot,manual", *engine)
    assert done.returncode == 0, done.stderr
    records = [record for _, record in find_records(tmp_path / "results")]
    assert [record["spec"]["model"] for record in records] == ["centre", "centre"]
    assert {record["spec"]["mode"] for record in records} == {"zero-shot", "manual"}
    (place, _), *_ = find_records(tmp_path / "results")
    first = json.loads((place / "predictions.json").read_text())[0]
    assert first["bbox"] == [30, 20, 60, 40]
    assert first["category_id"] == 1
    assert place.parts[-3:-1] == ("centre", "pets")
    again = bench("run", "--model", "mine:Centre", "--dataset", "pets", "--mode", "zero-shot")
    assert "1 of 1 were done before" in again.stdout
    other = bench("run", "--model", "mine:Centre", "--weights", "x", "--dataset", "pets", "--mode", "zero-shot")
    assert "done before" not in other.stdout  # other weights are another run


def test_predict_with_it(bench, tmp_path):
    done = bench("predict", "pets/test/0.jpg", "--model", "mine:Centre", "--prompt", "cat. dog", "--out", "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/0.boxes.json").read_text())
    assert found["detections"][0]["class"] == "cat"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model", "mine:Centre", "--mode", "prompt"],
            "is tuned elsewhere; here it can be run as",
        ),
        (["--model", "mine:Nothing"], "cannot be imported"),
        (["--model", "nowhere:Centre"], "cannot be imported: No module named 'nowhere'"),
        (["--model", "json:JSONDecoder"], "is no subclass of odinw_bench.Adapter"),
        (["--model", "glip-nan0", "--mode", "zero-shot"], "did you mean 'glip-nano'"),
    ],
)
def test_what_cannot_be_is_one_line(bench, arguments, message):
    done = bench("run", "--dataset", "pets", *(["--mode", "manual"] if "--mode" not in arguments else []), *arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
