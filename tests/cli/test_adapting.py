"""The grid of ways of adapting, by the installed command: what each gains, and what it does to what was known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from odinw_bench.runs.record import find_records
from tests.models.hub_models import save_grounding

pytestmark = pytest.mark.slow
PROGRAM = Path(sys.executable).with_name("odinw-bench")
MODES = ("zero-shot", "prompt", "lora", "linear", "full")


def run(tmp_path, *arguments, settings="epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1"):
    """The command with all ways of adapting; the records by model, task and mode."""
    grid = ["--mode", ",".join(MODES), "--shots", "5", "--retention", "mini", "--set", settings, "--device", "cpu"]
    command = [PROGRAM, "run", *arguments, *grid, "--results", "results"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    again = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, check=False)
    records = {
        (record.spec.model, record.spec.dataset, record.spec.mode): record
        for _, record in find_records(tmp_path / "results")
    }
    assert all(record.is_done for record in records.values())
    assert f"{len(records)} of {len(records)} were done before" in again.stdout + again.stderr
    return records


def check_retention(records):
    """What has text and was tuned is asked again for what the base knew; a tuned prompt changes nothing of it."""
    for (model, _, mode), record in records.items():
        found = record.retention
        if model.startswith("dyhead") or mode == "zero-shot":
            assert not found
            continue
        assert found["images"] > 0 and all(task.startswith("mini/") for task in found["tasks"])
        if mode == "prompt":
            assert found["retained_AP"] == found["base_AP"]


def test_embedded_models_in_every_way(tmp_path):
    if not PROGRAM.exists():
        pytest.skip("the package is not installed: no odinw-bench beside the interpreter")
    records = run(tmp_path, "--suite", "mini", "--model", "glip-nano,dyhead-nano", "--dataset", "packages,raccoon")
    tasks = ("packages", "raccoon")
    expected = {("glip-nano", task, mode) for task in tasks for mode in MODES}
    expected |= {("dyhead-nano", task, mode) for task in tasks for mode in ("lora", "linear", "full")}
    assert set(records) == expected
    check_retention(records)


def test_a_folder_of_grounding_dino_on_real_photos(tmp_path, shared):
    if not PROGRAM.exists():
        pytest.skip("the package is not installed: no odinw-bench beside the interpreter")
    folder = save_grounding(tmp_path / "tiny")
    data = ["--suite", "odinw13", "--data-root", shared / "odinw" / "data", "--dataset", "raccoon"]
    settings = "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1,train_precision=fp32"
    records = run(tmp_path, *data, "--model", f"hf:{folder}", settings=settings)
    assert {(task, mode) for _, task, mode in records} == {("raccoon", mode) for mode in MODES}
    assert {record["data"]["test_images"] for record in records.values()} == {17}
    assert {record["data"]["train_images"] for (_, _, mode), record in records.items() if mode != "zero-shot"} == {5}
    check_retention(records)
