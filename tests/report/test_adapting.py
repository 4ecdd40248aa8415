"""The report's section on gain, cost and loss."""

from __future__ import annotations

import runpy
import statistics
import sys

import pytest

from odinw_bench.report.adapting import adapting_section, gain
from odinw_bench.report.averages import split_suites
from odinw_bench.report.load import load_runs
from tests.report import made

BASE = {"packages": 10.0, "raccoon": 20.0, "thermal": 30.0}
GAIN = {"prompt": (15.0, 20.0, 25.0), "full": (40.0, 42.0, 44.0)}
LEFT = {"prompt": (50.0, 50.0, 50.0), "full": (20.0, 30.0, 25.0)}


def write(results, *, asked: bool, full_on_all=False) -> None:
    for task, ap in BASE.items():
        made.write(results, made.record(made.spec(task, mode="zero-shot"), made.metrics(ap)))
        number = list(BASE).index(task)
        for mode, shots, more_ap in [("prompt", 5, 0), ("full", 5, 0), *([("full", "all", 10)] if full_on_all else [])]:
            retention = {"tasks": ["coco/coco"], "retained_AP": LEFT[mode][number], "base_AP": 50.0}
            more = {"retention": retention} if asked else {}
            metrics = made.metrics(ap + GAIN[mode][number] + more_ap)
            made.write(results, made.record(made.spec(task, mode=mode, shots=shots), metrics, **more))


@pytest.fixture
def table(tmp_path):
    write(tmp_path, asked=True)
    (suite,) = split_suites(load_runs(tmp_path))
    section = adapting_section(suite)
    assert section is not None
    (table,) = section.tables
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    return section, {row["mode"].text: row for row in rows}


def test_gain_and_loss_are_paired_by_task(table):
    _, rows = table
    assert set(rows) == {"prompt", "full"}
    assert rows["full"]["gain"].value == pytest.approx(statistics.fmean(GAIN["full"]))
    assert rows["full"]["gain"].text == "+42.0 (+37.0 to +47.0)"  # t(0.975, 2) = 4.303; 4.303 * 2 / sqrt(3) = 4.97
    assert rows["prompt"]["minus full"].value == pytest.approx(-22.0)
    assert rows["full"]["minus full"].text == "–"
    assert rows["full"]["loss"].value == pytest.approx(-25.0)
    assert rows["prompt"]["loss"].text == "0.0 (0.0 to 0.0)"
    assert (rows["full"]["before"].value, rows["full"]["after"].value) == (50.0, 25.0)


def test_a_gain_is_over_the_same_detector_on_the_same_split(tmp_path):
    """Other recipes begin with it; other weights, a precision or a split of their own do not."""
    made.write(tmp_path, made.record(made.spec(mode="zero-shot"), made.metrics(10.0)))
    made.write(tmp_path, made.record(made.spec(mode="zero-shot", weights="a/known.pth"), made.metrics(20.0)))
    changes = {
        "usual": {},
        "lr=0.5": {"overrides": {"lr": 0.5}},
        "weights mine.pth": {"weights": "a/mine.pth"},
        "lr=0.5, weights known.pth": {"weights": "a/known.pth", "overrides": {"lr": 0.5}},
        "bf16": {"precision": "bf16"},
    }
    for said in changes.values():
        made.write(tmp_path, made.record(made.spec(**said), made.metrics(50.0)))
    other = made.record(made.spec(overrides={"lr": 0.25}), made.metrics(50.0), weights_sha256="f" * 64)
    made.write(tmp_path, other)  # of weights that have the usual name, as of another version of the model
    made.write(tmp_path, made.record(made.spec(overrides={"lr": 0.5}, eval_split="val"), made.metrics(50.0)))
    test, val = split_suites(load_runs(tmp_path))
    gains = {config.variant or "usual": gain(test, config) for config in test.scores if config.mode == "prompt"}
    assert {variant: won and won.mean for variant, won in gains.items()} == {
        "usual": 40.0,
        "lr=0.5": 40.0,
        "lr=0.25": None,
        "weights mine.pth": None,
        "lr=0.5, weights known.pth": 30.0,
        "bf16": None,
    }
    assert [gain(val, config) for config in val.scores] == [None]


def test_numbers_of_images_stand_side_by_side(tmp_path):
    write(tmp_path, asked=True, full_on_all=True)
    (suite,) = split_suites(load_runs(tmp_path))
    section = adapting_section(suite)
    assert section is not None
    ap, more, behind, lost, left, whole = section.tables
    assert [column.name for column in ap.columns] == ["model", "mode", "5", "all"]
    shown = [[cell.text for cell in row[1:]] for row in ap.rows]
    assert shown == [["prompt", "40.0", "–"], ["full", "62.0", "72.0"]]
    assert [[cell.text for cell in row[1:]] for row in more.rows] == [["full", "–", "+10.0 (+10.0 to +10.0)"]]
    assert [row[1].text for row in behind.rows] == ["prompt"]  # full tuning is not compared with itself
    assert behind.rows[0][2].text == next(row for row in whole.rows if row[1].text == "prompt")[6].text
    assert [[cell.text for cell in row[1:]] for row in lost.rows][1][1:] == ["−25.0 (−37.4 to −12.6)"] * 2
    assert [[cell.text for cell in row[1:]] for row in left.rows] == [["prompt", "+25.0 (+12.6 to +37.4)", "–"]]
    assert [len(table.notes) for table in (ap, more, behind, lost, left)] == [0, 1, 1, 1, 1]


def test_the_plot_is_said_in_words(table):
    section, _ = table
    (figure,) = section.figures
    assert "glip-nano full 5-shot: gain +42.0, elsewhere −25.0" in figure.alt
    assert "prompt 5-shot: gain +20.0, elsewhere 0.0" in figure.alt
    assert figure.png.startswith(b"\x89PNG")


def test_without_runs_that_were_asked_there_is_no_section(tmp_path):
    write(tmp_path, asked=False)
    (suite,) = split_suites(load_runs(tmp_path))
    assert adapting_section(suite) is None


def test_the_table_can_be_printed(tmp_path, monkeypatch, capsys):
    write(tmp_path / "asked", asked=True, full_on_all=True)
    write(tmp_path / "not", asked=False)

    def printed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["adapting_table", *arguments])
        runpy.run_module("tools.adapting_table", run_name="__main__")
        return capsys.readouterr().out

    whole = printed(str(tmp_path / "asked"))
    assert "| glip-nano | full | 5 |" in whole and "| glip-nano | full | all |" in whole
    part = printed(str(tmp_path / "asked"), "--shots", "all")
    assert [line for line in whole.splitlines() if line not in part.splitlines()] == [
        line
        for line in whole.splitlines()
        if line.startswith(("| glip-nano | full | 5 |", "| glip-nano | prompt | 5 |"))
    ]
    for folder, message in (("not", "with --retention"), ("missing", "not found")):
        with pytest.raises(SystemExit):
            printed(str(tmp_path / folder))
        assert message in capsys.readouterr().err
