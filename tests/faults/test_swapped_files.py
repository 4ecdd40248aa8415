"""Files of a finished run that vanish, are cut short or are exchanged: never other numbers or weights in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glip_core import InputError
from odinw_bench import RunSpec, run
from odinw_bench.report.load import load_runs
from odinw_bench.report.testdata import read_predictions
from odinw_bench.runs.loading import load_run
from odinw_bench.runs.record import is_done, read_record

FILES = ("history.jsonl", "predictions.json", "prompt.json", "tuned.safetensors")
SPEC = RunSpec(dataset="packages", mode="prompt", shots=1, overrides={"epochs": 1, "repeats_per_epoch": 1})


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder of results with one tuned run."""
    results = tmp_path_factory.mktemp("results")
    run(SPEC, results)
    return results


@pytest.fixture
def results(finished, tmp_path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(finished, tmp_path / "results"))


def folder_of(results):
    return next(results.rglob("run.json")).parent


def use(folder, name):
    """What reads a file of a run."""
    if name == "predictions.json":
        return read_predictions(folder)
    return load_run(folder, "cpu")


def missing(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def changed(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_record_lists_its_files(finished):
    record = read_record(folder_of(finished))
    assert record["schema"] == 2
    assert tuple(sorted(record.files)) == FILES
    assert is_done(folder_of(finished))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [missing, cut])
def test_a_file_that_is_missing_or_cut_short(results, cli, tried, caplog, name, damage):
    folder = folder_of(results)
    damage(folder / name)
    assert not is_done(folder)
    assert f"'{name}' " in caplog.text
    assert f"damaged: '{name}'" in " ".join(cli("show", folder).out.split())
    assert any("has lost files of its run" in note and name in note for note in load_runs(results).notes)
    if name != "history.jsonl":
        with pytest.raises(InputError, match=rf"'{name}' (is missing|has .* bytes)"):
            use(folder, name)
    tried("fault: a file of a finished run lost or exchanged")


@pytest.mark.parametrize("name", FILES[1:])
def test_a_file_of_the_same_size(results, tried, name):
    folder = folder_of(results)
    changed(folder / name)
    assert is_done(folder)  # sizes are looked at, hashes when a file is used
    with pytest.raises(InputError, match=f"'{name}' was changed after the run"):
        use(folder, name)
    tried("fault: a file of a finished run lost or exchanged")


def test_a_run_that_lost_its_weights_is_done_again(results):
    folder = folder_of(results)
    before = read_record(folder)
    (folder / "tuned.safetensors").unlink()
    again = run(SPEC, results)
    assert again["metrics"] == before["metrics"]
    assert is_done(folder)


def test_a_record_of_schema_1_is_read_and_says_that_it_is_not_sealed(results, cli):
    folder = folder_of(results)
    content = json.loads((folder / "run.json").read_text())
    del content["files"]
    (folder / "run.json").write_text(json.dumps(content | {"schema": 1}))
    assert is_done(folder)
    assert "not sealed" in cli("show", folder).out
    (folder / "tuned.safetensors").unlink()
    with pytest.raises(InputError, match=r"'tuned.safetensors' is missing; restore the file, or do the run again"):
        load_run(folder, "cpu")


def test_a_record_of_schema_2_without_its_list(results):
    folder = folder_of(results)
    content = json.loads((folder / "run.json").read_text())
    for files in ("none", {"a": {}}, {"a": {"size": -1, "sha256": "0"}}):
        (folder / "run.json").write_text(json.dumps(content | {"files": files}))
        with pytest.raises(InputError, match="files"):
            read_record(folder)
    (folder / "run.json").write_text(json.dumps(content | {"files": {"../../x": {"size": 1, "sha256": "0"}}}))
    assert not is_done(folder)
