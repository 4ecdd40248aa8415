"""The paper's tables in the report: its numbers beside those measured, labelled, and only where they belong."""

from __future__ import annotations

import csv

import pytest

from odinw_bench.metrics.published import paper_tables
from tests.report import made

LVIS = {"AP": 26.0, "APr": 20.0, "APc": 21.0, "APf": 31.0}


def put(
    results, suite, model, metrics, *,
    mode="zero-shot", shots=0, seed=3, split="test", evaluation=None, dataset=None, spec=None, **changes,
):  # fmt: skip
    one = made.spec(
        dataset=dataset or suite, suite=suite, model=model, mode=mode, shots=shots, seed=seed, eval_split=split
    )
    record = made.record(one | (spec or {}), metrics) | changes
    record["digest"] = f"{len(list(results.rglob('run.json'))):08}{'0' * 56}"  # its beginning names the folder
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
    tuned = {"mode": "full", "shots": "all", "split": "val", "protocol": {"name": "coco-glip-1"}}
    put(results, "coco", "glip-t", made.metrics(54.2), **tuned)
    put(results, "coco", "glip-t-a", made.metrics(51.0), **tuned | {"protocol": {"name": "odinw-glip-3"}})
    lvis = {"AP": 25.1, "APr": 19.0, "APc": 21.0, "APf": 30.5, "per_class": {}}
    put(results, "lvis-minival", "glip-t-c", lvis, split="val", evaluation="lvis")
    flickr = {"R@1": 84.9, "R@5": 95.0, "R@10": 96.9}
    put(results, "flickr30k", "glip-nano", flickr, evaluation="flickr")
    out = report()
    coco = {(row[0], row[1]): row for row in table(out, "paper-table-2")}
    assert coco["GLIP-T", "O365, GoldG, CC3M, SBU"][2:6] == ["46.1", "46.6", "54.2", "55.2"]
    assert coco["GLIP-T", "O365, GoldG, Cap4M"][2:6] == ["", "46.3", "", "54.9"]
    assert not [row for row in coco.values() if "51.0" in row]  # by ODinW's recipe, not the paper's
    rows = {row[0]: row for row in table(out, "paper-table-3")}
    assert rows["GLIP-T (C)"][2:10] == ["19.0", "17.7", "21.0", "19.5", "30.5", "31.0", "25.1", "24.9"]
    rows = table(out, "paper-table-4")
    assert rows[-1][0] == "glip-nano"  # not the paper's
    assert rows[-1][8:14] == ["84.9", "", "95.0", "", "96.9", ""]
    text = (out / "report.md").read_text()
    assert "The GLIP paper's tables" in text
    assert "were not measured here" in text
    assert "data are not the paper's: glip-t-a (odinw-glip-3) full all-shot." in text


def test_other_weights_stand_beside_no_published_number(tmp_path, report):
    results = tmp_path / "results"
    lvis = {"split": "val", "evaluation": "lvis"}
    put(results, "lvis", "glip-t", LVIS, **lvis)
    tuned = {"spec": {"weights": "w/lvis-finetuned.pth"}, "weights_sha256": "b" * 64}
    put(results, "lvis", "glip-t", LVIS | {"AP": 44.4}, **lvis, **tuned, finished="2026-01-01")
    put(results, "lvis", "glip-t-a", LVIS, **lvis, spec={"precision": "bf16"})
    put(results, "coco", "glip-t", made.metrics(40.0), split="val", spec={"precision": "bf16"})
    out = report()
    assert [(row[3], row[-4]) for row in table(out, "lvis-metrics")[1:]] == [
        ("glip-t", "26.0"),
        ("glip-t (weights lvis-finetuned.pth)", "44.4"),
        ("glip-t-a (bf16)", "26.0"),
    ]
    rows = [row for row in table(out, "paper-table-3") if row[0] == "GLIP-T"]
    assert [row[16] for row in rows if row[16]] == ["26.0"]
    assert not [row for row in table(out, "paper-table-3") if "44.4" in row or row[0] == "glip-t-a"]
    assert not [row for row in table(out, "paper-table-2")[1:] if row[2]]
    text = (out / "report.md").read_text()
    assert text.count("Passed over, since their weights, recipe, precision or data are not the paper's: ") == 2
    assert "glip-t (weights lvis-finetuned.pth) on lvis val, glip-t-a (bf16) on lvis val." in text
    assert "the paper's: glip-t (bf16) zero-shot." in text


def test_weights_and_data_of_one_name_are_told_apart_by_their_hash(tmp_path, report):
    results = tmp_path / "results"
    data = {"annotations_sha256": {"test": "d" * 64}}
    for sha256, split, hashes in (("b", "val", data), ("c", "val", data), (None, "val", data), (None, "test", data)):
        weights = sha256 and sha256 * 64
        put(results, "flickr30k", "glip-t", {"R@1": 50.0}, split=split, evaluation="flickr", weights_sha256=weights,
            data=hashes)  # fmt: skip
    other = {"annotations_sha256": {"test": "e" * 64}}
    put(results, "flickr30k", "mine", {"R@1": 50.0}, split="test", evaluation="flickr", data=other)
    rows = [row[2:4] for row in table(report(), "flickr-metrics")[1:]]
    assert rows == [
        ["test", "glip-t (weights not known, test data dddddddd)"],
        ["test", "mine (test data eeeeeeee)"],
        ["val", "glip-t (weights bbbbbbbb)"],
        ["val", "glip-t (weights cccccccc)"],
        ["val", "glip-t (weights not known)"],
    ]


def test_seeds_of_other_recipes_or_pictures_are_no_repetitions(tmp_path, report):
    results = tmp_path / "results"
    given, drawn = {"few_shot": "given"}, {"few_shot": "rule"}
    rf20 = {"mode": "full", "shots": 10, "dataset": "actions", "evaluation": "rf100vl"}
    put(results, "rf20vl", "glip-t", {"AP": 30.0}, **rf20, seed=3, data=given)
    put(results, "rf20vl", "glip-t", {"AP": 40.0}, **rf20, seed=30, data=given)
    put(results, "rf20vl", "glip-t", {"AP": 10.0}, **rf20, seed=300, data=given, spec={"overrides": {"lr": 1.0}})
    put(results, "rf20vl", "glip-t", {"AP": 20.0}, **rf20, seed=300, data=drawn)
    assert [(row[1], row[3], row[11]) for row in table(report(), "rf100vl-domains")[1:]] == [
        ("glip-t", "10 shots, drawn here", "20.0"),
        ("glip-t", "10-shot", "35.0"),
        ("glip-t (lr=1.0)", "10-shot", "10.0"),
    ]


def test_an_older_run_of_the_same_cell_is_named(tmp_path, report):
    put(tmp_path / "results", "lvis", "glip-t", LVIS, split="val", evaluation="lvis")
    put(tmp_path / "results", "lvis", "glip-t", LVIS | {"AP": 27.0}, split="val", evaluation="lvis", finished="2026")
    out = report()
    assert [row[-4] for row in table(out, "lvis-metrics")[1:]] == ["27.0"]
    (line,) = (line for line in (out / "report.md").read_text().splitlines() if "newer run of the same cell" in line)
    assert "passed over lvis/glip-t/lvis/zero-shot-0shot-seed3-00000000: a newer run" in line.replace("\\", "")


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
