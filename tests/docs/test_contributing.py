"""The recipes of CONTRIBUTING, executed exactly as they are printed there."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from importlib import invalidate_caches
from pathlib import Path

import pytest
from safetensors.torch import load_file

from odinw_bench.datasets.forms import table
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine import protocol_files
from odinw_bench.models import modes, registry
from odinw_bench.models.hub import checkpoints
from odinw_bench.models.hub.grounding import GroundingDino
from odinw_bench.models.registry import find_model
from tests.docs.blocks import ROOT, Block, blocks, section

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.fixture
def follow(tmp_path, monkeypatch, cli):
    """Follow a recipe in an empty folder: write its files, execute its commands; returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def act(title: str, after_writing: Callable[[], None] = lambda: None) -> Path:
        found = blocks(section(TEXT, title))
        assert found, f"CONTRIBUTING has no recipe '{title}'"
        for block in found:
            if block.name:
                _write(tmp_path, block)
                after_writing()
            else:
                assert block.language == "bash", f"'{title}': a {block.language} block without a file name"
                _execute(block, cli)
        return tmp_path

    _forget()
    yield act
    _forget()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def _forget() -> None:
    """What the program remembers of the packages that are installed: a new process has no such memory."""
    modes.known_modes.cache_clear()
    modes._import.cache_clear()
    registry._import.cache_clear()


def _write(folder: Path, block: Block) -> None:
    file = folder / block.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.text)
    if file.name == "pyproject.toml":
        _install(folder, tomllib.loads(block.text)["project"])
    invalidate_caches()
    _forget()


def _install(folder: Path, project: dict) -> None:
    """What pip leaves of a package for others to see, without running pip: its name and entry points."""
    place = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")


def _execute(block: Block, cli) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "odinw-bench", line
        answer = cli(*arguments)
        assert answer.code == 0, f"{line}\n{answer.out}\n{answer.err}"


def records(folder: Path, results: str = "results") -> dict[str, dict]:
    """The records that a recipe made: mode -> record."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{results}/**/run.json"))]
    assert all(record["status"] == "done" for record in found)
    return {record["spec"]["mode"]: record for record in found}


def test_every_recipe_is_tested():
    titles = [line.removeprefix("### ") for line in section(TEXT, "Adding things").splitlines() if line[:4] == "### "]
    tested = {name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_a_")}
    assert {title.lower() for title in titles} == tested


def test_a_form_of_data_sets(follow, monkeypatch, tmp_path):
    follow("A form of data sets")
    from boxes_csv import BoxesCsv
    from PIL import Image

    monkeypatch.setattr(table, "FORMS", (*table.FORMS, BoxesCsv()))
    own = tmp_path / "own"
    own.mkdir()
    for i in range(5):
        Image.new("RGB", (40 + i, 30)).save(own / f"{i}.png")
    (own / "boxes.csv").write_text("".join(f"{i}.png,cat,1,2,10,{i + 3}\n" for i in range(5)))
    task = load_task(own)
    assert (task.form, task.class_names) == ("boxes-csv", ["cat"])
    assert {split: len(open_split(task, split)) for split in task.splits} == {"train": 3, "val": 1, "test": 1}


def test_a_dataset(follow):
    found = records(follow("A dataset"))
    assert {record["spec"]["dataset"] for record in found.values()} == {"backyard"}
    assert found["zero-shot"]["data"]["test_images"] == 30
    assert found["manual"]["metrics"]["AP"] > found["zero-shot"]["metrics"]["AP"] + 20  # the attributes were read


def test_a_detector(follow, cli):
    """It is found again by ``predict --run``, by the class that the record names or that the user names."""
    folder = follow("A detector")
    record = records(folder)["zero-shot"]
    assert record["spec"]["model"] == "colour-difference"
    assert record["spec"]["model_class"] == "my_detector:ColourDifference"
    assert 0 <= record["metrics"]["AP"] <= 100
    assert find_model("colour") is find_model("my_detector:ColourDifference")

    (run,) = folder.glob("results/**/zero-shot-*")
    _predicts_again(folder, run, cli)
    shutil.copy(folder / "my_detector.py", folder / "moved_detector.py")
    (folder / "other_detector.py").write_text((folder / "my_detector.py").read_text().replace("colour-", "color-"))
    invalidate_caches()
    _predicts_again(folder, run, cli, "--model", "moved_detector:ColourDifference")
    photo = next(folder.glob("DATA/packages/test/*.png"))
    other = cli("predict", photo, "--run", run, "--model", "other_detector:ColourDifference").refused()
    assert "is of colour-difference, and 'other_detector:ColourDifference' is color-difference" in other
    assert "leave --model glip-nano out" in cli("predict", photo, "--run", run, "--model", "glip-nano").refused()


def _predicts_again(folder: Path, run: Path, cli, *arguments: str) -> None:
    """``predict --run`` gives a photo the scores that the run wrote for it."""
    cli("data", "render", "--out", "DATA", "--dataset", "packages")
    image = min(
        json.loads(next(folder.glob("DATA/packages/test/*.json")).read_text())["images"], key=lambda one: one["id"]
    )
    out = folder / "predictions"
    shutil.rmtree(out, ignore_errors=True)
    answer = cli("predict", f"DATA/packages/test/{image['file_name']}", "--run", run, "--out", out, *arguments)
    assert answer.code == 0, answer.err
    (file,) = out.glob("*.boxes.json")
    again = max(found["score"] for found in json.loads(file.read_text())["detections"])
    rows = json.loads((run / "predictions.json").read_text())
    assert again == pytest.approx(max(row["score"] for row in rows if row["image_id"] == image["id"]), abs=1e-5)


class OwnFamily(GroundingDino):
    """A family of the transformers library, as one in this repository."""


def test_families_of_this_repository_are_two_rows(monkeypatch):
    said = section(TEXT, "A detector")
    assert "`FAMILIES`" in said and "`CHECKPOINTS`" in said
    monkeypatch.setitem(checkpoints.FAMILIES, "own-kind", f"{__name__}:OwnFamily")
    row = checkpoints.Checkpoint("own-detector", "Our own", "own-kind", "owner/own-detector")
    monkeypatch.setitem(checkpoints.CHECKPOINTS, "own-detector", row)
    found = find_model("own-detector")
    assert issubclass(found, OwnFamily)
    assert found.facts().name == "own-detector"


def test_the_entry_point_group_of_0_1_0_still_counts(tmp_path, monkeypatch):
    (tmp_path / "older_detector.py").write_text(
        next(block.text for block in blocks(section(TEXT, "A detector")) if block.name == "my_detector.py")
    )
    points = {"odinw_bench.detectors": {"older": "older_detector:ColourDifference"}}
    _install(tmp_path, {"name": "older", "version": "1.0", "entry-points": points})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_model("older").name == "colour-difference"


def test_a_mode(follow, cli):
    """The toy adapter adds parameters, trains them alone, and they are saved and put back."""
    folder = follow("A mode")
    found = records(folder)
    assert set(found) == {"zero-shot", "text-adapter"}
    (run,) = folder.glob("results/**/text-adapter-*")  # by class and by entry point it is one run
    tuned = load_file(run / "tuned.safetensors")
    assert set(tuned) == {"text_adapter.down.weight", "text_adapter.up.weight"}
    assert found["text-adapter"]["cost"]["tuned_parameters"] == sum(tensor.numel() for tensor in tuned.values())
    assert tuned["text_adapter.up.weight"].any()
    assert found["text-adapter"]["metrics"]["AP"] > found["zero-shot"]["metrics"]["AP"] + 5
    _predicts_again(folder, run, cli)


@pytest.fixture
def protocols(tmp_path, monkeypatch):
    """The program reads its recipes from a copy of their folder, to which one can be added."""
    folder = tmp_path / "odinw_bench/engine/protocols"
    shutil.copytree(ROOT / "odinw_bench/engine/protocols", folder)
    monkeypatch.setattr(protocol_files, "_FOLDER", folder)
    before = dict(protocol_files.PROTOCOLS)
    protocol_files.contents.cache_clear()

    def forget() -> None:
        protocol_files.contents.cache_clear()
        protocol_files.PROTOCOLS.update({name: content["title"] for name, content in protocol_files.contents().items()})

    yield forget
    protocol_files.contents.cache_clear()
    protocol_files.PROTOCOLS.clear()
    protocol_files.PROTOCOLS.update(before)


def test_a_recipe(follow, protocols):
    found = records(follow("A recipe", protocols))
    assert {record["protocol"]["name"] for record in found.values()} == {"short-1"}
    assert {record["protocol"]["hyperparameters"]["epochs"] for record in found.values()} == {2}
    rates = {mode: record["protocol"]["hyperparameters"]["lr"] for mode, record in found.items()}
    assert rates == {"prompt": 0.2, "linear": 3e-3}  # its own row, and the one of the recipe that it extends


def test_a_metric(follow):
    folder = follow("A metric")
    record = records(folder, "results-with-metric")["zero-shot"]
    assert records(folder)["zero-shot"]["metrics"] == record["metrics"]  # by option and by entry point
    predictions = json.loads(next(folder.glob("results-with-metric/**/predictions.json")).read_text())
    expected = sum(found["score"] >= 0.5 for found in predictions) / record["data"]["test_images"]
    assert record["metrics"]["boxes_per_image"] == pytest.approx(expected)


def test_a_report_section(follow, tmp_path):
    from tests.report import made

    for dataset, quality in (("aquarium", 0.4), ("packages", 0.8)):
        made.write_drawn(tmp_path / "results", quality, dataset=dataset)
    folder = follow("A report section")
    report = (folder / "reports" / "report.md").read_text()
    assert "Worst tasks" in report
    assert "aquarium" in (folder / "reports" / "tables" / "mini-worst.csv").read_text()
    assert "Worst tasks" in (folder / "reports" / "report.html").read_text()
