"""A tuning mode of the user's own that adds a module to the detector: one class, registered nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from glip_core import InputError
from odinw_bench import RunSpec, run
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.models import MODES, find_mode, modes
from odinw_bench.runs.prepare import prepare
from tests.cli.conftest import cli  # noqa: F401

MODE = '''
import torch
from torch import nn

from glip_core.modes import TuningMode


class Bottleneck(nn.Module):
    def __init__(self, inner, width):
        super().__init__()
        self.inner = inner
        self.down, self.up = nn.Linear(width, 4), nn.Linear(4, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, levels):
        maps = self.inner(levels)
        return [m + self.up(torch.relu(self.down(m.movedim(1, -1)))).movedim(-1, 1) for m in maps]


class BottleneckAdapter(TuningMode):
    """A bottleneck after the last block of the tower; nothing else is trained."""

    name = "bottleneck"
    recipe = {"lr": 0.01, "weight_decay": 0.05}
    recipes = {"quick-1": {"lr": 0.02, "weight_decay": 0.05}}

    def is_trainable(self, name):
        return False

    def add_modules(self, detector, prompt):
        last = detector.tower[-1]
        last.dyconv = Bottleneck(last.dyconv, detector.config.channels)
        added = {"down": last.dyconv.down, "up": last.dyconv.up}
        return {f"bottleneck.{k}.{n}": p for k, m in added.items() for n, p in m.named_parameters()}
'''
TARGET = "toy_mode:BottleneckAdapter"
QUICK = {"epochs": 1, "repeats_per_epoch": 2, "min_steps_per_epoch": 1}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The module, in the current folder."""
    (tmp_path / "toy_mode.py").write_text(MODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    modes._import.cache_clear()
    yield TARGET
    modes._import.cache_clear()
    sys.modules.pop("toy_mode", None)


def test_a_mode_that_adds_parameters_is_tuned_saved_and_put_back(toy, tmp_path, cli):  # noqa: F811
    spec = RunSpec(dataset="packages", mode=toy, shots=1, overrides=QUICK)
    record = run(spec, tmp_path / "results")
    (place,) = (tmp_path / "results").rglob("run.json")
    assert place.parent.name.startswith("bottleneck-1shot")
    assert (record["spec"]["mode"], record["spec"]["mode_class"]) == ("bottleneck", TARGET)
    state = load_file(place.parent / "tuned.safetensors")
    assert sorted(state) == [f"bottleneck.{k}.{n}" for k in ("down", "up") for n in ("bias", "weight")]
    assert state["bottleneck.up.weight"].abs().max() > 0
    assert record["cost"]["tuned_parameters"] == sum(tensor.numel() for tensor in state.values())
    other = prepare(RunSpec(dataset="packages", mode="prompt", shots=1, overrides=QUICK))
    assert record["digest"] != other.digest

    # Put back by predict --run, a photo gets the very detections that the run wrote.
    cell = prepare(spec)
    first = cell.test.image_ids[0]
    cell.test.image(first).save(tmp_path / "photo.png")
    answer = cli("predict", "photo.png", "--run", place.parent, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "out" / "photo.boxes.json").read_text())["detections"]
    written = json.loads((place.parent / "predictions.json").read_text())
    expected = sorted((row["score"] for row in written if row["image_id"] == first), reverse=True)
    assert [one["score"] for one in found] == pytest.approx(expected, abs=1e-4)


def test_a_mode_brings_its_recipe(toy):
    assert hyperparameters("mini-1", toy, 5).lr == 0.01
    assert hyperparameters("mini-2", toy, 5).lr == 0.01  # which extends mini-1
    assert hyperparameters("quick-1", toy, 5).lr == 0.02
    assert hyperparameters("mini-1", toy, 5).epochs == hyperparameters("mini-1", "linear", 5).epochs


def test_a_declared_mode_is_known_by_its_name(toy, monkeypatch):
    monkeypatch.setattr(modes, "declared", lambda group: {"bottleneck": TARGET} if group == modes.GROUP else {})
    modes.known_modes.cache_clear()
    try:
        assert find_mode("bottleneck").name == "bottleneck"
        assert RunSpec(dataset="packages", mode="bottleneck").mode_name == "bottleneck"
    finally:
        modes.known_modes.cache_clear()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:Mode", "the mode 'nowhere:Mode' cannot be imported"),
        ("json:JSONDecoder", "is no subclass of glip_core.modes.TuningMode"),
        ("glip_core.modes:Full", "has the name of another mode"),
        ("promt", "did you mean 'prompt'"),
    ],
)
def test_what_is_no_mode_is_one_line(target, message):
    with pytest.raises(InputError, match=message):
        RunSpec(dataset="packages", mode=target)


@pytest.mark.integration  # starts an interpreter
def test_the_modes_are_listed_without_torch():
    code = "import sys; from odinw_bench.models import MODES; assert 'torch' not in sys.modules; print(*MODES)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout.split() == list(MODES), done.stderr
