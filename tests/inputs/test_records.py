"""Records edited by hand: each is read, or listed as unreadable with the reason; none ends a report."""

from __future__ import annotations

import copy
import json
import math

import pytest

from glip_core.errors import InputError
from odinw_bench.report import ReportSettings, build_report, searches
from odinw_bench.report.analysis import fusion_section
from odinw_bench.report.build import _profiles
from odinw_bench.report.load import load_runs
from odinw_bench.runs.record import read_record
from tests.inputs.answers import sound
from tests.report import made

HALF = "half \ud83d"
HUGE = 10**400
ODD = [None, "", "x", "../../x", "é" * 300, HALF, [[1]], {"a": {"b": []}}, True, 0, -1, 1.5, 100.5, 1e308, HUGE]
ODD += [math.nan, -math.inf]


def good():
    """A record of a finished run."""
    return made.record(made.spec(), made.metrics(50.0, package=50.0, HARD=40.0) | {"my metric": 3.0})


def places(value, path=()):
    """Every place in a JSON value, the whole included."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def edited(content, path, value):
    """A file's content with one place changed."""
    if not path:
        return value
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


def search(space):
    """What a search writes, as far as a report shows it."""
    entry = {"search_AP": 40.0, "test_AP": 30.0, "caption": "x", "overrides": {"lr": 0.1}}
    found = {"prompt": ("prompts", "plain names"), "tuning": ("recipes", "the protocol's")}[space]
    return {
        "schema": 1,
        "kind": "search",
        "space": space,
        "spec": made.spec(),
        found[0]: {found[1]: entry, "best found": entry, "simplest": entry},
        "single_words": [{"word": "red", "kept": False}],
        "shuffled_control": {"gain": 0.5},
        "trials": [{"number": 0, "AP": 30.0, "state": "complete", "given": "names", "caption": "x"}],
    }


def profile():
    """What a measurement writes, as far as a report shows it."""
    settings = {"model": "glip-t", "fusion": True, "phase": "inference", "batch": 1, "precision": "fp32"}
    row = {"settings": settings, "images_per_second": 2.0, "peak_memory_bytes": 1e9, "gflops": 4.0}
    return {"schema": 1, "kind": "profile", "measured": [row | {"environment": {"device_name": "x"}}]}


NOT_RECORDS = {
    "nothing": b"",
    "cut off": json.dumps(good()).encode()[:300],
    "not JSON": b"hello",
    "not UTF-8": b"\xff\xfe",
    "a number of 5,000 digits": b'{"schema": ' + b"1" * 5000 + b"}",
    "nested": b"[" * 100_000,
    "no schema": json.dumps({key: value for key, value in good().items() if key != "schema"}).encode(),
    "a schema to come": json.dumps(good() | {"schema": 99}).encode(),
    "a list": b"[]",
    "null": b"null",
    "two": json.dumps(good()).encode() * 2,
}


def measured_by(evaluation):
    """A record of another evaluation than COCO's."""
    metrics = {"R@2": 50.0, "found": 3.0, "by_type": {"round": 1.0}}
    return made.record(made.spec(mode="zero-shot"), metrics) | {
        "evaluation": {"name": "half", "headline": "R@2", "shown": ["R@2"]} | evaluation
    }


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"shown": 5}, "evaluation.shown must be a list of metrics, not 5"),
        ({"shown": "R@2"}, "evaluation.shown must be a list of metrics, not 'R@2'"),
        ({"shown": [5]}, "evaluation.shown[0] must be a text, not 5"),
        ({"shown": ["R@2", "by_type"]}, "evaluation.shown[1] must name a metric that is a number, not 'by_type'"),
        ({"headline": "by_type"}, "evaluation.headline must name a metric that is a number, not 'by_type'"),
        ({"name": ["half"]}, "evaluation.name must be a text"),
    ],
)
def test_an_evaluation_that_cannot_be_shown_is_passed_over(cli, tmp_path, tried, evaluation, message):
    results = tmp_path / "results"
    made.write(results, good())
    odd = results / "odd"
    odd.mkdir()
    (odd / "run.json").write_text(json.dumps(measured_by(evaluation)))
    assert sound(cli("report", "--results", results, "--out", tmp_path / "out", "--pictures", "0")) is None
    (note,) = load_runs(results).notes
    assert note == f"passed over odd: {message}" or note.startswith(f"passed over odd: {message}, ")
    tried("input: edited record")


def test_what_one_record_shows_may_be_an_object_in_another(cli, tmp_path, tried):
    results = tmp_path / "results"
    made.write(results, measured_by({"shown": ["R@2", "found"]}))
    other = measured_by({})
    other["metrics"]["found"] = {"round": 1.0}
    other["spec"] = other["spec"] | {"model": "glip-nano-a"}
    made.write(results, other)
    assert sound(cli("report", "--results", results, "--out", tmp_path / "out", "--pictures", "0")) is None
    rows = (tmp_path / "out/tables/half-metrics.csv").read_text().splitlines()
    assert [row.rsplit(",", 1)[1] for row in rows] == ["found", "3.0", ""]
    tried("input: edited record")


@pytest.mark.integration  # half a minute
def test_every_place_with_every_odd_value(tmp_path, tried):
    """Through the reader and, those that it takes, through the whole report."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good/run.json").write_text(json.dumps(good()))
    refused = 0
    for number, path in enumerate(places(good())):
        for kind, value in enumerate(ODD):
            place = tmp_path / f"{number}-{kind}"
            place.mkdir()
            text = json.dumps(edited(good(), path, value))
            (place / "run.json").write_text(text)
            try:
                read_record(place)
            except InputError as error:
                assert "run.json" in str(error)
                str(error).encode()
                refused += 1
            else:
                assert "NaN" not in text
                assert "Infinity" not in text
                assert "\\ud83d" not in text
            tried("input: edited record")
    runs = load_runs(tmp_path)
    assert sum(note.startswith("passed over") and "newer run" not in note for note in runs.notes) == refused
    written = build_report(ReportSettings(tmp_path, tmp_path / "out", pictures=0))
    assert written[0].is_file()


@pytest.mark.parametrize("name", NOT_RECORDS)
def test_no_records_at_all(cli, tmp_path, tried, name):
    results = tmp_path / "results"
    made.write(results, good())
    odd = results / "odd"
    odd.mkdir()
    (odd / "run.json").write_bytes(NOT_RECORDS[name])
    assert sound(cli("report", "--results", results, "--out", tmp_path / "out", "--pictures", "0")) is None
    text = (tmp_path / "out/report.md").read_text(encoding="utf-8")
    assert "passed over odd: " in text
    assert sound(cli("show", odd), "run.json") is not None
    assert sound(cli("compare", odd, results), "run.json") is not None
    tried("input: edited record")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (search("prompt"), "search/{}/search.json"),
        (search("tuning"), "search/{}/search.json"),
        (profile(), "p/{}/profile.json"),
    ],
)
def test_searches_and_profiles(tmp_path, monkeypatch, tried, content, name):
    """Each by itself, since their tables and figures are made together."""
    notes: list[str] = []
    made_from = searches.find_searches if "search" in name else _profiles
    monkeypatch.setattr(searches, "history_figure", lambda shown: [searches._line(one) for one in shown])
    show = searches.search_section if "search" in name else fusion_section
    number = 0
    for path in places(content):
        for value in [*ODD, "removed"]:
            number += 1
            place = tmp_path / str(number) / name.format("x")
            place.parent.mkdir(parents=True)
            odd = edited(content, path, value)
            if value == "removed" and path and isinstance(path[-1], str):
                inner = odd
                for key in path[:-1]:
                    inner = inner[key]
                del inner[path[-1]]
            place.write_text(json.dumps(odd))
            before = len(notes)
            found = made_from(tmp_path / str(number), notes)
            assert len(found) + len(notes) - before <= 1
            show(found)
            tried("input: edited record")
    assert len(notes) > number // 4
