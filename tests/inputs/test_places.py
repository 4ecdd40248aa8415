"""Whose files and whose code: nothing is written outside a command's folder, nothing runs that nobody named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image

import odinw_bench
from glip_core.errors import InputError
from odinw_bench.mini.export import write_suite
from odinw_bench.models.registry import find_model
from odinw_bench.report.document import Column, Section, Table
from odinw_bench.report.testdata import TestData
from odinw_bench.utils.plugins import load_object
from tests.inputs.answers import sound
from tests.report import made

# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "a/b", "a\\b", "C:x", "..", ".hidden", "x" * 300, "index", "a\nb"]
)
def test_an_export_stays_in_its_folder(cli, tmp_path, tried, name):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(made.record(made.spec(dataset=name), made.metrics(50.0))))
    (folder / "predictions.json").write_text("[]")
    before = sorted(tmp_path.rglob("*"))
    line = sound(cli("export", "coco", folder, "--out", tmp_path / "a/b/out"), "results", "file's name")
    assert line is not None
    assert sorted(tmp_path.rglob("*")) == before
    tried("input: place of others")


@pytest.mark.parametrize(
    "name",
    ['../../escaped/x"><img src=x onerror=alert(1)>', "absolute", "a/b", "a}\\input{b", "half", "é" * 300],
)
def test_a_report_stays_in_its_folder_whatever_an_evaluation_is_called(cli, tmp_path, tried, name):
    results, out = tmp_path / "results", tmp_path / "a/b/out"
    record = made.record(made.spec(mode="zero-shot"), {"R@2": 50.0})
    name = str(tmp_path / "escaped") if name == "absolute" else name
    made.write(results, record | {"evaluation": {"name": name, "headline": "R@2"}})
    before = sorted(tmp_path.rglob("*"))
    assert sound(cli("report", "--results", results, "--out", out)) is None
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "<img" not in text
    tables = sorted(out.glob("tables/*"))
    assert [path.suffix for path in tables] == [".csv", ".tex"] * 2
    for path in tables:
        assert re.fullmatch(r"[a-z0-9-]+-(metrics|made-by)", path.stem)
        if path.suffix == ".tex":
            assert f"\\label{{tab:{path.stem}}}" in path.read_text(encoding="utf-8")
    inside = {path for path in tmp_path.rglob("*") if path == out or path in out.parents or out in path.parents}
    assert sorted({*tmp_path.rglob("*")} - inside) == [path for path in before if path not in inside]
    if name == "half":
        assert tables[0].name == "half-made-by.csv"
        assert '<a id="evaluation-half"></a>' in text
    tried("input: place of others")


def outside(suite):
    """A section of another package whose table would lie elsewhere."""
    table = Table("../../escaped", "x", [Column("x")], [])
    return Section(suite.key("mine"), "Mine", tables=[table])


def test_a_report_writes_no_section_outside_its_folder(cli, tmp_path, tried):
    made.write(tmp_path / "results", made.record(made.spec(), made.metrics(50.0)))
    out = tmp_path / "a/out"
    answer = cli(
        "report", "--results", tmp_path / "results", "--out", out, "--pictures", 0, "--section", f"{__name__}:outside"
    )
    assert answer.code == 2
    assert "would be written outside" in answer.err.splitlines()[-1]
    assert not (tmp_path / "a").exists()
    tried("input: place of others")


@pytest.mark.parametrize("name", ["task.yaml", "test/annotations_without_background.json"])
def test_rendering_writes_over_nothing_of_others(tmp_path, tried, name):
    path = tmp_path / "packages" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(InputError, match="was not written by this command; give another folder with --out"):
        write_suite(tmp_path, ["packages"])
    assert path.read_text() == "mine"
    tried("input: place of others")


def test_rendering_writes_over_no_picture_or_link_of_others(tmp_path, tried):
    write_suite(tmp_path, ["packages"])
    picture = sorted((tmp_path / "packages/test").glob("*.png"))[0]
    drawn = picture.read_bytes()
    Image.new("RGB", (8, 8)).save(picture)
    with pytest.raises(InputError, match="was not written by this command"):
        write_suite(tmp_path, ["packages"])
    picture.unlink()
    (tmp_path / "precious.png").write_bytes(drawn)
    picture.symlink_to(tmp_path / "precious.png")
    with pytest.raises(InputError, match="was not written by this command"):
        write_suite(tmp_path, ["packages"])
    picture.unlink()
    (picture.parent.parent / "notes.txt").write_text("mine")
    write_suite(tmp_path, ["packages"])
    assert picture.read_bytes() == drawn
    assert (picture.parent.parent / "notes.txt").read_text() == "mine"
    tried("input: place of others", 3)


def test_what_an_older_version_rendered_is_replaced(tmp_path):
    """Its list says that the files are ours though they are not those of this version."""
    from odinw_bench.mini.export import RENDERED
    from odinw_bench.utils.io import sha256_bytes

    write_suite(tmp_path, ["packages"])
    task = tmp_path / "packages/task.yaml"
    now = task.read_bytes()
    task.write_bytes(b"older")
    listed = tmp_path / "packages" / RENDERED
    listed.write_text(listed.read_text() + sha256_bytes(b"older") + "\n")
    write_suite(tmp_path, ["packages"])
    assert task.read_bytes() == now


# -- pictures ------------------------------------------------------------------------------------------------------


def test_postscript_starts_no_interpreter_in_any_command(cli, pets, tmp_path, tried, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("an interpreter was started"))
    picture = pets / "test/0.jpg"
    picture.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 120 80\n%%EndComments\nshowpage\n")
    assert "unreadable" in cli("data", "check", "--dataset", pets).out
    assert sound(cli("predict", picture, "--prompt", "x", "--out", tmp_path), "0.jpg") is not None
    task = odinw_bench.load_task(pets)
    split = odinw_bench.datasets.sources.open_split(task, "test")
    with pytest.raises(InputError, match=r"0\.jpg"):
        TestData(split, pets / "test").picture(0)
    tried("input: place of others", 3)


def test_a_picture_that_does_not_fit_into_memory_is_one_line(cli, pets, tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", full)
    line = sound(cli("predict", pets / "test/0.jpg", "--prompt", "x", "--out", tmp_path), "0.jpg", "memory")
    assert line is not None


def test_links_out_of_the_data_are_reported(cli, pets, tmp_path, tried):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("test/0.jpg", "train/_annotations.coco.json"):
        moved = outside / Path(name).name
        (pets / name).rename(moved)
        (pets / name).symlink_to(moved)
    (pets / "valid").rename(outside / "valid")
    (pets / "valid").symlink_to(outside / "valid")
    out = cli("data", "check", "--dataset", pets, "--json").out
    found = json.loads(out)[0]["findings"]
    links = {one["split"]: one["count"] for one in found if one["kind"] == "link out of the data folder"}
    assert links == {"test": 1, "train": 1, "val": 3}
    tried("input: place of others", 3)


# -- code ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A current folder with modules of names that the program, or a package of it, imports."""
    for name in ("transformers", "torch", "yaml", "mine", "planted_by_nobody"):
        (tmp_path / f"{name}.py").write_text(f"open('ran-{name}', 'w').close()\nclass A: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_built_in_names_run_nothing_of_the_current_folder(planted, tried, monkeypatch):
    before = [name for name in sys.modules if name.startswith("odinw_bench.models.hub.")]
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    try:
        find_model("grounding-dino-t")
    finally:  # what is imported for the first time here belongs to modules that will not be there any more
        for name in [name for name in sys.modules if name.startswith("odinw_bench.models.hub.")]:
            if name not in before:
                del sys.modules[name]
    assert str(planted) not in sys.path
    assert not list(planted.glob("ran-*"))
    tried("input: place of others")


def test_what_is_named_is_found_after_what_is_installed(planted, tried):
    load_object("mine:A", "detector")
    assert sys.path[-1] == str(planted)
    assert [path.name for path in planted.glob("ran-*")] == ["ran-mine"]
    assert load_object("yaml:safe_load", "detector").__module__ == "yaml"
    assert not (planted / "ran-yaml").exists()
    sys.modules.pop("mine")
    tried("input: place of others", 2)


@pytest.mark.integration
def test_as_a_module_neither(planted, tried):
    done = subprocess.run([sys.executable, "-m", "odinw_bench", "protocol"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(planted.glob("ran-*"))
    tried("input: place of others")


@pytest.mark.integration
def test_a_measurement_neither(cli, planted, tried):
    assert (
        sound(cli("profile", "--model", "glip-nano", "--repeats", "1", "--device", "cpu", "--out", planted / "out"))
        is None
    )
    assert not list(planted.glob("ran-*"))
    tried("input: place of others")
