"""The committed example: its numbers are the evaluator's on its predictions, its report is made from its records."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import runpy
import statistics
import sys
from collections import Counter
from pathlib import Path

import pytest

from glip_core import InputError
from odinw_bench import evaluate, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.protocol_files import nano_protocol
from odinw_bench.pretraining.modelcard import model_card
from odinw_bench.report import ReportSettings, build_report
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.plan import plan
from odinw_bench.runs.record import find_records
from odinw_bench.runs.spec import RunSpec
from tests.report import made
from tools.make_example import ROOT, card_records, keep

RESULTS, REPORT = ROOT / "results" / "example", ROOT / "reports" / "example"
ADAPTING = ROOT / "docs" / "adapting.md"

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="the example's records are part of a checkout only")

RECORDS = list(find_records(RESULTS)) if RESULTS.is_dir() else []
WITH_PREDICTIONS = [(folder, record) for folder, record in RECORDS if (folder / "predictions.json").is_file()]


@pytest.mark.parametrize("task", sorted({record["spec"]["dataset"] for _, record in WITH_PREDICTIONS}))
def test_metrics_are_the_evaluators_on_the_predictions(task):
    split = open_split(load_task(task, "mini"), "test")
    runs = [(folder, record) for folder, record in WITH_PREDICTIONS if record["spec"]["dataset"] == task]
    assert runs
    for folder, record in runs:
        assert record["data"]["annotations_sha256"]["test"] == split.sha256
        found = evaluate(split.annotations, json.loads((folder / "predictions.json").read_text()))
        per_class = dict(zip(split.class_names, found.pop("per_class").values(), strict=True))
        assert record.per_class == pytest.approx(per_class)
        assert {name: record["metrics"][name] for name in found} == pytest.approx(found)


def test_making_the_example_again_changes_nothing(tmp_path):
    assert keep(RESULTS, tmp_path / "again") == len(RECORDS)
    written = {path.relative_to(tmp_path / "again"): path.read_bytes() for path in (tmp_path / "again").rglob("*.*")}
    committed = {path.relative_to(RESULTS): path.read_bytes() for path in RESULTS.rglob("*.*")}
    assert written == committed


@pytest.mark.parametrize(("grid", "target"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_a_grid_around_or_within_what_is_replaced_is_refused(grid, target, tmp_path):
    made.write(tmp_path / grid, made.record(made.spec(), made.metrics(50.0)))
    with pytest.raises(InputError, match="lies around or within"):
        keep(tmp_path / grid, tmp_path / target)
    assert list((tmp_path / grid).rglob("run.json"))


def test_the_grid_is_whole():
    """Each way of tuning that is shown has all tasks and seeds, at each number of images."""
    specs = [record["spec"] for _, record in RECORDS if record["spec"]["shots"] != 0]
    assert len({(s["model"], s["mode"], s["dataset"], s["shots"], s["seed"]) for s in specs}) == len(specs)
    runs = Counter((spec["model"], spec["mode"], str(spec["shots"])) for spec in specs)
    assert set(runs.values()) == {13 * len((3, 30, 300))}
    modes = {"glip-nano": 7, "dyhead-nano": 5, "gdino-nano": 7}
    assert Counter((model, shots) for model, _, shots in runs) == {
        (model, shots): number for model, number in modes.items() for shots in ("1", "3", "5", "10", "all")
    }


def test_committed_runs_are_recognised_as_done():
    """They were made by older versions: this one computes the same digests."""
    committed = {
        record["digest"]: RunSpec(**record["spec"]) for _, record in RECORDS if not record["spec"]["attributes"]
    }
    specs = [spec for spec in committed.values() if spec.dataset in ("packages", "aquarium")]
    assert len({spec.mode for spec in specs}) == 9
    found = plan(specs, RunOptions(RESULTS))
    assert all(cell.digest in committed for cell in found.cells)
    assert not found.todo


def test_the_committed_tables_are_those_of_the_records(tmp_path):
    build_report(ReportSettings(RESULTS, tmp_path, title="ODinW-Mini", pictures=0))
    committed = sorted(path.relative_to(REPORT) for path in REPORT.glob("tables/*.csv"))
    assert committed
    for name in committed:
        assert (tmp_path / name).read_text() == (REPORT / name).read_text(), name


def test_a_headline_number_by_hand():
    """The mean over tasks of the means over seeds, without the report's own code."""
    with (REPORT / "tables" / "mini-headline.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) >= 5
    for row in rows:
        by_task: dict[str, list[float]] = {}
        for _, record in RECORDS:
            spec = record["spec"]
            apart = []  # a searched prompt stands by itself, and so does what is tuned by an earlier protocol
            if spec["shots"] != 0 and spec["protocol"] != nano_protocol(spec["shots"]):
                apart.append(spec["protocol"])
            if spec["attributes"]:
                apart.append(f"attributes {Path(spec['attributes']).name}")
            model = f"{spec['model']} ({', '.join(apart)})" if apart else spec["model"]
            if (model, spec["mode"], str(spec["shots"])) == (row["model"], row["mode"], row["shots"]):
                by_task.setdefault(spec["dataset"], []).append(record["metrics"]["AP"])
        mean = statistics.fmean(statistics.fmean(values) for values in by_task.values())
        assert float(row["AP"]) == pytest.approx(mean, abs=1e-3)


@pytest.fixture(scope="module")
def printed() -> str:
    """What the command that docs/adapting.md names prints."""
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(io.StringIO()) as stream:
        patched.setattr(sys, "argv", ["adapting_table", str(RESULTS), "--shots", "5"])
        runpy.run_module("tools.adapting_table", run_name="__main__")
    return stream.getvalue()


def test_the_tables_of_ways_of_adapting_are_those_of_the_records(printed):
    lines = printed.splitlines()
    assert len(lines) > 10
    assert [line for line in lines if line not in ADAPTING.read_text().splitlines()] == []


NUMBER = r"[+−]?\d+\.\d"
# A mean and what is said of it, up to the interval: "5.5 AP (2.5 to 8.4)", "4.7 more than full tuning (0.3 to 9.0)".
INTERVAL = rf"({NUMBER})[^\d()]*[(,]\s*({NUMBER})\s+to\s+({NUMBER})"


def _amounts(*cell: str) -> tuple[float, float, float]:
    """A difference and its interval, and the same with its sides changed (`2.0 behind` is `−2.0`), as one tuple."""
    mean, low, high = (float(number.replace("−", "-")) for number in cell)
    return min((mean, low, high), (-mean, -high, -low))


def test_the_sentences_about_ways_of_adapting_have_the_numbers_of_the_tables(printed):
    """Each interval in words is that of a cell, with its mean; each other number with a decimal stands in a cell."""
    text = ADAPTING.read_text()
    words = text[text.index("## Thirteen drawn tasks") : text.index("**AP by labelled images per class**")]
    said = re.findall(INTERVAL, words)
    assert len(said) == len(re.findall(rf"{NUMBER}\s+to\s+{NUMBER}", words)) > 50
    cells = {_amounts(*cell) for cell in re.findall(INTERVAL, printed)}
    assert [numbers for numbers in said if _amounts(*numbers) not in cells] == []
    assert set(re.findall(r"\d+\.\d", words)) <= set(re.findall(r"\d+\.\d", printed))


def test_the_committed_cards_are_those_of_the_records():
    """A searched prompt is no part of a model's usual numbers."""
    for path in sorted((ROOT / "docs" / "models").glob("*.md")):
        assert model_card(path.stem, card_records()) == path.read_text(), path
