"""Files of a finished run that vanish, are cut short or are exchanged: never other numbers or weights in silence."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from glip_core import InputError
from odinw_bench import RunSpec, run
from odinw_bench.report.load import load_runs
from odinw_bench.report.testdata import read_predictions
from odinw_bench.runs.loading import load_run
from odinw_bench.runs.record import is_done, read_record

FILES = ("history.jsonl", "predictions.json", "prompt.json", "tuned.safetensors")
SPEC = RunSpec(
    dataset="packages",
    mode="prompt",
    shots=1,
    overrides={"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1},
)


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
    del content["files"], content["seal"]
    (folder / "run.json").write_text(json.dumps(content | {"schema": 1}))
    assert is_done(folder)
    assert "not sealed" in cli("show", folder).out
    (folder / "tuned.safetensors").unlink()
    with pytest.raises(InputError, match=r"'tuned.safetensors' is missing; restore the file, or do the run again"):
        load_run(folder, "cpu")


def test_a_record_of_schema_2_without_its_list(results):
    folder = folder_of(results)
    content = json.loads((folder / "run.json").read_text())
    del content["seal"]
    for files in ("none", {"a": {}}, {"a": {"size": -1, "sha256": "0"}}):
        (folder / "run.json").write_text(json.dumps(content | {"files": files}))
        with pytest.raises(InputError, match="files"):
            read_record(folder)
    (folder / "run.json").write_text(json.dumps(content | {"files": {"../../x": {"size": 1, "sha256": "0"}}}))
    assert not is_done(folder)


def places(value, path=()):
    """Every place of a JSON value that holds no other values."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not entries:
        yield path
    for key, inner in entries:
        yield from places(inner, (*path, key))


def edited(content, path):
    """The content with one place changed as little as can be."""
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    if isinstance(old, bool) or old is None or isinstance(old, list | dict):
        new = not old
    else:
        new = old + "x" if isinstance(old, str) else old + 1 if isinstance(old, int) else old / 2 + 0.1
    inner[path[-1]] = new
    return content


def test_an_edited_record_is_unreadable(results, cli, tried, caplog):
    """Each of its fields, one at a time."""
    folder = folder_of(results)
    content = json.loads((folder / "run.json").read_text())
    named = 0
    for path in places(content):
        (folder / "run.json").write_text(json.dumps(edited(content, path)))
        caplog.clear()
        assert not is_done(folder), path
        assert "counts as not done" in caplog.text
        with pytest.raises(InputError, match=r"run\.json' is not a complete run record: ") as raised:
            read_record(folder)
        named += "its seal differs" in str(raised.value)
        tried("fault: a field of a record edited")
    assert named > 50
    (folder / "run.json").write_text(json.dumps(dict(reversed(content.items()))))  # only written otherwise
    assert is_done(folder)


def test_what_reads_a_record_refuses_an_edited_one(results, cli, tmp_path):
    """AP from 40 to 41, say: nothing that a check of types would find."""
    folder = folder_of(results)
    content = json.loads((folder / "run.json").read_text())
    content["metrics"]["AP"] = content["metrics"]["AP"] / 2 + 1
    (folder / "run.json").write_text(json.dumps(content))
    reason = "its seal differs"
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg")
    for words in (("show", folder), ("compare", folder, folder), ("predict", tmp_path / "x.jpg", "--run", folder)):
        assert reason in cli(*words).refused()
    with pytest.raises(InputError, match=r"no readable run record .*its seal differs"):
        load_runs(results)
    again = run(SPEC, results)
    assert again["metrics"]["AP"] != content["metrics"]["AP"]
    assert is_done(folder)


def test_an_early_record_of_schema_2_is_read_and_says_that_it_does_not_seal_itself(results, cli):
    folder = folder_of(results)
    assert "not sealed" not in cli("show", folder).out
    content = json.loads((folder / "run.json").read_text())
    del content["seal"]
    (folder / "run.json").write_text(json.dumps(content))
    assert is_done(folder)
    assert "record: not sealed itself" in cli("show", folder).out
