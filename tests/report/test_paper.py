"""The paper's tables in the report: its numbers beside those measured, labelled, and only where they belong."""

from __future__ import annotations

import csv

import pytest

from odinw_bench.metrics.published import paper_tables
from tests.report import made


def put(results, suite, model, metrics, *, mode="zero-shot", shots=0, split="test", evaluation=None, dataset=None):
    one = made.spec(dataset=dataset or suite, suite=suite, model=model, mode=mode, shots=shots, eval_split=split)
    record = made.record(one, metrics)
    if evaluation:
        record["evaluation"] = {
            "name": evaluation,
            "headline": next(iter(metrics)),
            "shown": [name for name in metrics if name != "per_class"],
        }
    made.write(results, record, [])


def table(folder, name):
    with (folder / "tables" / f"{name}.csv").open() as file:
        return list(csv.reader(file))


@pytest.fixture
def report(tmp_path, cli):
    def build():
        answer = cli("report", "--results", tmp_path / "results", "--out", tmp_path / "out", "--pictures", 0)
        assert answer.code == 0, answer.err
        return tmp_path / "out"

    return build


def test_tables_2_3_and_4_with_the_published_columns(tmp_path, report):
    results = tmp_path / "results"
    put(results, "coco", "glip-t", made.metrics(46.1), split="val")
    put(results, "coco", "glip-t", made.metrics(54.2), mode="full", shots="all", split="val")
    lvis = {"AP": 25.1, "APr": 19.0, "APc": 21.0, "APf": 30.5, "per_class": {}}
    put(results, "lvis-minival", "glip-t-c", lvis, split="val", evaluation="lvis")
    flickr = {"R@1": 84.9, "R@5": 95.0, "R@10": 96.9}
    put(results, "flickr30k", "glip-nano", flickr, evaluation="flickr")
    out = report()
    coco = {(row[0], row[1]): row for row in table(out, "paper-table-2")}
    assert coco["GLIP-T", "O365, GoldG, CC3M, SBU"][2:6] == ["46.1", "46.6", "54.2", "55.2"]
    assert coco["GLIP-T", "O365, GoldG, Cap4M"][2:6] == ["", "46.3", "", "54.9"]
    rows = {row[0]: row for row in table(out, "paper-table-3")}
    assert rows["GLIP-T (C)"][2:10] == ["19.0", "17.7", "21.0", "19.5", "30.5", "31.0", "25.1", "24.9"]
    rows = table(out, "paper-table-4")
    assert rows[-1][0] == "glip-nano"  # not the paper's
    assert rows[-1][8:14] == ["84.9", "", "95.0", "", "96.9", ""]
    text = (out / "report.md").read_text()
    assert "The GLIP paper's tables" in text
    assert "were not measured here" in text


def test_odinw_alone_has_no_such_section(tmp_path, report):
    put(tmp_path / "results", "odinw13", "glip-t", made.metrics(46.1), dataset="aquarium")
    out = report()
    assert "The GLIP paper's tables" not in (out / "report.md").read_text()
    assert not list((out / "tables").glob("paper-*"))


def test_odinw_beside_the_others(tmp_path, report):
    put(tmp_path / "results", "coco", "glip-t-a", made.metrics(42.0), split="val")
    put(tmp_path / "results", "odinw13", "glip-t", made.metrics(46.1), dataset="aquarium")
    rows = {row[0]: row for row in table(report(), "paper-odinw")}
    assert rows["glip-t"][1] == ""  # one task of 13 is no average
    assert float(rows["glip-t"][2]) == pytest.approx(46.5, abs=0.3)  # published


def test_every_published_row_says_its_source():
    for name in ("coco", "lvis", "flickr"):
        for row in paper_tables()[name]:
            assert row["source"]
            assert set(row) >= {"model", "data", "preset"}
