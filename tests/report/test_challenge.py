"""The few-shot challenge's file: a zip of pickles with the names, ids and fields that its page asks for."""

from __future__ import annotations

import json
import pickle
import zipfile

import pytest

from odinw_bench.datasets.suites.rf100vl import entries
from tests.report import made

TWENTY = [name for name, entry in entries().items() if entry.in_rf20]
EVALUATION = {"name": "rf100vl", "detections": 500, "headline": "AP", "shown": ["AP"]}


def row(image, category, score):
    return {"image_id": image, "category_id": category, "bbox": [1.0, 2.0, 3.0, 4.0], "score": score}


ROWS = [row(7, 2, 0.5), row(3, 1, 0.9), row(7, 1, 0.25)]


def put(results, tasks, *, mode="full", seed=3, few_shot="given", suite="rf20vl", rows=ROWS):
    for task in tasks:
        one = made.spec(dataset=task, suite=suite, model="glip-t", mode=mode, shots=10, seed=seed)
        record = made.record(one, made.metrics(50.0))
        record["evaluation"] = EVALUATION
        record["data"] |= {"few_shot": few_shot, "classes": {"1": "a", "2": "b"}}
        made.write(results, record, list(rows))


def read(path):
    with zipfile.ZipFile(path) as archive:
        return {name: pickle.loads(archive.read(name)) for name in archive.namelist()}


def test_a_pickle_a_data_set(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "sent.zip"
    put(results, TWENTY)
    answer = cli("export", "rf20vl", "--results", results, "--out", out)
    assert answer.code == 0, answer.err
    found = read(out)
    assert len(found) == 20
    assert found["actions-zzid2-zb1hq-fsod-amih.pkl"] == [
        {"image_id": 3, "instances": [row(3, 0, 0.9)]},
        {"image_id": 7, "instances": [row(7, 1, 0.5), row(7, 0, 0.25)]},
    ]
    first = out.read_bytes()
    cli("export", "rf20vl", "--results", results, "--out", out)
    assert out.read_bytes() == first


def test_draws_of_ones_own_are_not_the_track(tmp_path, cli):
    put(tmp_path, TWENTY, few_shot="rule")
    line = cli("export", "rf20vl", "--results", tmp_path).refused()
    assert "no finished run of the track '10-shot'" in line
    assert "--suite rf20vl --shots 10" in line


def test_what_is_missing_and_partial(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "sent.zip"
    put(results, TWENTY[:3], suite="rf100vl")
    command = ("export", "rf20vl", "--results", results, "--out", out)
    line = cli(*command).refused()
    assert "17 data sets are missing" in line
    assert not out.exists()
    answer = cli(*command, "--partial", "--json")
    assert len(json.loads(answer.out)["datasets"]) == 3
    assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"mode": "prompt"}, "choose by --model and --mode"),
        ({"seed": 30}, "choose by --seed"),
    ],
)
def test_several_ways(tmp_path, cli, more, words):
    put(tmp_path, TWENTY)
    put(tmp_path, TWENTY[:1], **more)
    assert words in cli("export", "rf20vl", "--results", tmp_path, "--out", tmp_path / "x.zip").refused()


def test_bad_input(tmp_path, cli):
    assert "unknown track 'full'" in cli("export", "rf20vl", "--track", "full", "--results", tmp_path).refused()
    assert "not found" in cli("export", "rf20vl", "--results", tmp_path / "none").refused()
