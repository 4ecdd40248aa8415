"""Metrics beside COCO's."""

from __future__ import annotations

import json

import pytest

from glip_core.errors import InputError
from odinw_bench.metrics import extra
from odinw_bench.metrics.coco import evaluate
from odinw_bench.metrics.extra import evaluate_all, extra_metrics
from tests.report import made


@pytest.fixture
def pair():
    split = made.drawn("packages")
    return split.annotations, made.detections(split, 0.6, 1)


def test_without_others_the_metrics_are_cocos(pair):
    assert evaluate_all(*pair) == evaluate(*pair)


def test_others_stand_beside_them(pair, monkeypatch):
    monkeypatch.setattr(extra, "METRICS", {"found": lambda annotations, predictions: len(predictions)})
    assert evaluate_all(*pair) == evaluate(*pair) | {"found": len(pair[1])}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", True, [1]])
def test_what_is_no_number_is_nothing_with_a_warning(pair, monkeypatch, value):
    monkeypatch.setattr(extra, "METRICS", {"odd": lambda annotations, predictions: value})
    with pytest.warns(UserWarning, match="metric 'odd' was not computed"):
        assert evaluate_all(*pair)["odd"] is None


def test_a_metric_that_fails_does_not_lose_the_run(pair, monkeypatch):
    monkeypatch.setattr(extra, "METRICS", {"broken": lambda annotations, predictions: 1 / 0})
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        assert evaluate_all(*pair)["broken"] is None


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("AP", "math:fsum", "the name 'AP', which is taken"),
        ("one", "math:no_such", "cannot be imported"),
        ("one", "no.such.module:f", "cannot be imported"),
        ("one", "math", "PACKAGE.MODULE:NAME"),
        ("one", "math:pi", "not a function"),
    ],
)
def test_unusable_declarations_are_refused_in_one_line(monkeypatch, name, target, message):
    monkeypatch.setattr(extra, "declared", lambda group: {name: target})
    with pytest.raises(InputError, match=message):
        extra_metrics()


def test_a_slip_in_a_metric_is_noticed_before_the_work(cli, tmp_path):
    answer = cli("run", "--dataset", "packages", "--metric", "math:no_such", "--results", tmp_path / "results")
    assert "cannot be imported" in answer.refused()
    assert not (tmp_path / "results").exists()


def two(annotations, predictions):
    return 2


def test_score_takes_metrics(cli, tmp_path):
    split = made.drawn("packages")
    (tmp_path / "packages.json").write_text(json.dumps(made.detections(split, 0.6, 1)))
    where = ("--suite", "mini", "--dataset", "packages", "--predictions", tmp_path / "packages.json")
    answer = cli("score", *where, "--model-name", "x", "--results", tmp_path, "--metric", f"{__name__}:two", "--json")
    assert json.loads(answer.out)["records"][0]["metrics"]["two"] == 2


def three(annotations, predictions):
    return 3


def test_what_was_scored_without_a_metric_is_scored_again(cli, tmp_path):
    split = made.drawn("packages")
    (tmp_path / "packages.json").write_text(json.dumps(made.detections(split, 0.6, 1)))
    where = ("--suite", "mini", "--dataset", "packages", "--predictions", tmp_path / "packages.json", "--json")
    score = ("score", *where, "--model-name", "x", "--results", tmp_path)
    found = [json.loads(cli(*score, *more).out)["records"][0]["metrics"] for more in _asked("two", "three", "")]
    assert [{"two", "three"} & one.keys() for one in found] == [set(), {"two"}, {"two", "three"}, {"two", "three"}]
    assert found[-1] == found[0] | {"two": 2, "three": 3}


def _asked(*names):
    return [(), *(("--metric", f"{__name__}:{name}") if name else () for name in names)]


@pytest.mark.parametrize("suite", ["mini-lvis", "mini-flickr", "mini-refexp"])
def test_where_no_other_can_be_computed_they_are_refused_before_the_work(cli, tmp_path, suite):
    more = ("--suite", suite, "--metric", "math:fsum", "--results", tmp_path / "results")
    line = cli("run", *more, "--mode", "zero-shot").refused()
    assert "metrics beside its own cannot be computed" in line
    assert not (tmp_path / "results").exists()
    (tmp_path / "mine.json").write_text("[]")
    assert line == cli("score", *more, "--predictions", tmp_path / "mine.json", "--model-name", "x").refused()


def test_the_report_has_a_table_of_them(tmp_path):
    from odinw_bench.report import ReportSettings, build_report

    for seed, value in ((3, 1.0), (30, 2.0)):
        split = made.drawn("packages")
        metrics = evaluate(split.annotations, made.detections(split, 0.5, seed)) | {"found": value}
        made.write(tmp_path / "results", made.record(made.spec(seed=seed), metrics, sha256=split.sha256))
    build_report(ReportSettings(tmp_path / "results", tmp_path / "out", pictures=0))
    assert (tmp_path / "out/tables/mini-metrics.csv").read_text().splitlines()[1].endswith("1.5")
