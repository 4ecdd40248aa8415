"""What the report concludes, and how its parts fit: labels, widths, fronts, LaTeX."""

from __future__ import annotations

import csv
import json

import pytest

from glip_core.detection.labels import overlap
from odinw_bench.report import Column, ReportSettings, Table, build_report, number_cell, text_cell
from odinw_bench.report.analysis import seen_names, seen_section
from odinw_bench.report.averages import Config, average, split_suites
from odinw_bench.report.conclusion import choices, conclusion_section
from odinw_bench.report.document import Box
from odinw_bench.report.labels import place_labels, text_width
from odinw_bench.report.load import load_runs
from odinw_bench.report.markup import to_latex
from odinw_bench.report.tables import headline
from odinw_bench.report.tradeoffs import Dot, _named, front
from odinw_bench.report.widths import PAGE, _width, fitted
from tests.report import made

TASKS = ("aquarium", "packages", "pothole")


def write(results, dataset, mode, ap, *, seed=3, shots=5, suite="mini", split="test", **changes):
    spec = made.spec(dataset=dataset, mode=mode, seed=seed, shots=shots, suite=suite, eval_split=split)
    made.write(results, made.record(spec, made.metrics(ap, thing=ap)) | changes)


def suite_of(results):
    return split_suites(load_runs(results))[0]


def test_the_best_way_and_what_is_not_decided(tmp_path):
    for task, full, prompt, linear in zip(TASKS, (60, 70, 80), (61, 66, 82), (30, 41, 50), strict=True):
        for mode, ap in (("full", full), ("prompt", prompt), ("linear", linear)):
            write(tmp_path, task, mode, ap)
    (made_choice,) = choices(suite_of(tmp_path))
    assert made_choice.best.mode == "full"
    assert made_choice.expected.mean == pytest.approx(70)
    assert made_choice.over == "3 tasks"
    assert [(rival.config.mode, rival.decided) for rival in made_choice.rivals] == [("prompt", False), ("linear", True)]
    assert made_choice.rivals[0].behind.mean == pytest.approx((-1 + 4 - 2) / 3)
    section = conclusion_section(suite_of(tmp_path))
    assert section.text[0].endswith("Here the best way is not decided.")
    row = section.tables[0].rows[0]
    assert row[5].text.startswith("glip-nano prompt (+0.3, ")
    assert "linear" not in row[5].text


def test_decided_is_said_only_where_it_is(tmp_path):
    for task in TASKS:
        for mode, ap in (("full", 70), ("prompt", 50)):
            write(tmp_path, task, mode, ap + len(task) / 10)
    section = conclusion_section(suite_of(tmp_path))
    assert section.tables[0].rows[0][5].text == "decided: the only other is worse"
    assert section.text[0].endswith("Here it is better than all that it was compared with.")


def test_each_number_of_images_is_said_to_be_what_it_is(tmp_path):
    """What nothing was compared with is not the best, and what lacks a task was not compared."""
    for task in TASKS:
        write(tmp_path, task, "zero-shot", 20 + len(task), shots=0)
        for shots, full, prompt in (
            (1, 70, 50),
            (5, 70, 50),
            (10, 60, 55 + 10 * (task == "packages")),
            ("all", 90, 80),
        ):
            write(tmp_path, task, "full", full + len(task) / 10, shots=shots)
            write(tmp_path, task, "prompt", prompt + len(task) / 10, shots=shots)
    write(tmp_path, "packages", "linear", 99, shots=1)
    section = conclusion_section(suite_of(tmp_path))
    text = section.text[0]
    assert "With 1 and 5 images per class and with all labels, it is better than all that it was compared with." in text
    assert "With 10 images per class, the best way is not decided." in text
    assert "Without labels, nothing else was measured on the same tasks to compare with." in text
    notes = section.tables[0].notes
    assert "Not compared, since they lack some of the tasks: glip-nano linear 1-shot." in notes
    assert "paired over tasks, has" in notes[0]


def test_what_intervals_are_over_is_said_of_each_line(tmp_path):
    for task in TASKS:
        for mode, ap in (("full", 70), ("prompt", 50)):
            write(tmp_path, task, mode, ap)
    write(tmp_path, "packages", "full", 60, shots=1)
    assert "paired over tasks, has" in conclusion_section(suite_of(tmp_path)).tables[0].notes[0]
    write(tmp_path, "packages", "prompt", 60, shots=1)
    notes = conclusion_section(suite_of(tmp_path)).tables[0].notes
    assert "paired over tasks, or over seeds where there is one task, has" in notes[0]


def test_where_nothing_is_compared_nothing_is_said_of_deciding(tmp_path):
    write(tmp_path, "packages", "full", 60)
    notes = conclusion_section(suite_of(tmp_path)).tables[0].notes
    assert [note.split(".")[0] for note in notes] == ["From 1 finished run, 0 failed"]


def test_another_split_is_neither_chosen_nor_the_best(tmp_path):
    """Twenty more on val decide nothing on test: not what to use, nor what is bold."""
    results, out = tmp_path / "results", tmp_path / "out"
    for task in TASKS:
        for split, more in (("test", 0), ("val", 20)):
            for mode, ap in (("full", 60), ("prompt", 50)):
                write(results, task, mode, ap + more + len(task) / 10, split=split, suite="custom")
    test, val = split_suites(load_runs(results))
    for suite, split, other in ((test, "test", "val"), (val, "val", "test")):
        (one,) = choices(suite)
        assert (one.best.mode, [rival.config.mode for rival in one.rivals]) == ("full", ["prompt"])
        said = conclusion_section(suite).text[1]
        assert said.startswith(f"These are the runs that were tested on {split}. Those on {other} are in sections of")
        assert next(cell.value for cell in headline(suite).best()) == pytest.approx(average(suite.scores[one.best]).ap)
        assert len(headline(suite).rows) == 2
    build_report(ReportSettings(results, out, pictures=0))
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Suite custom\n" in text and "Suite custom, on val\n" in text


def test_names_seen_are_said_of_the_miniatures_models_alone(tmp_path):
    for model in ("glip-nano", "glip-t", "somebody/detector"):
        made.write_drawn(tmp_path, 0.5, model=model, mode="zero-shot", shots=0, dataset="packages")
    (table,) = seen_section(suite_of(tmp_path)).tables
    assert [row[0].text for row in table.rows] == ["glip-nano"]
    assert table.notes  # packages has names of one kind only
    seen = seen_names()
    both = [task for task, names in seen.items() if len(set(names.values())) == 2]
    made.write_drawn(tmp_path / "both", 0.5, mode="zero-shot", shots=0, dataset=both[0])
    assert not seen_section(suite_of(tmp_path / "both")).tables[0].notes


def test_one_task_is_decided_over_its_seeds(tmp_path):
    for seed, full, prompt in ((3, 60, 50), (30, 61, 52), (300, 60.5, 51)):
        write(tmp_path, "own", "full", full, seed=seed, suite="custom")
        write(tmp_path, "own", "prompt", prompt, seed=seed, suite="custom")
    write(tmp_path, "own", "linear", 59, seed=3, suite="custom")
    (one,) = choices(suite_of(tmp_path))
    assert one.over == "3 seeds"
    assert {rival.config.mode: rival.decided for rival in one.rivals} == {"prompt": True, "linear": False}


def test_a_report_of_one_own_data_set_has_its_own_shape(tmp_path):
    results, out = tmp_path / "results", tmp_path / "out"
    for mode, ap in (("full", 60), ("prompt", 50)):
        write(results, "own", mode, ap, suite="custom")
    build_report(ReportSettings(results, out, pictures=0))
    names = {path.stem for path in (out / "tables").glob("custom-*.csv")}
    assert names == {"custom-conclusion", "custom-classes-own", "custom-cost"}
    drawn = {path.stem for path in (out / "figures").glob("*.svg")}
    assert drawn == {"custom-cost"}  # points alone are no curves
    with (out / "tables" / "custom-cost.csv").open(newline="") as stream:
        assert "AP" not in csv.DictReader(stream).fieldnames


def test_the_gallery_calls_no_run_the_best_that_is_not(tmp_path):
    results, out = tmp_path / "results", tmp_path / "out"
    made.write_drawn(results, 0.4)
    write(results, "packages", "full", 99.0)
    build_report(ReportSettings(results, out, pictures=1))
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "but 1 of this task's 2 runs is better (glip-nano full 5-shot, seed 3, has AP 99.0)" in text
    assert "the best of this task's" not in text


def test_of_equal_runs_none_is_the_best(tmp_path):
    results, out = tmp_path / "results", tmp_path / "out"
    folder = made.write_drawn(results, 0.9)
    content = json.loads((folder / "run.json").read_text())
    again = made.record(made.spec(seed=30), content["metrics"])
    made.write(results, again | {"data": content["data"]})
    build_report(ReportSettings(results, out, pictures=1))
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "none of this task's 2 runs is better" in text


def test_a_failure_says_where_it_was_raised_and_where_the_whole_is(tmp_path):
    results, out = tmp_path / "results", tmp_path / "out"
    made.write_drawn(results, 0.4)
    made.write(results, made.record(made.spec(mode="full"), error="ValueError: too few"))
    folder = next(path.parent for path in results.rglob("run.json") if "failed" in path.read_text())
    trace = 'Traceback (most recent call last):\n  File "/a/work.py", line 3, in tune\n    go()\nValueError: too few\n'
    (folder / "traceback.txt").write_text(trace)
    build_report(ReportSettings(results, out, pictures=0))
    with (out / "tables" / "mini-failed.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["error"] == "ValueError: too few"
    assert row["raised at"] == "work.py, line 3, in tune"
    assert (results / row["all of it"]).read_text() == trace


def test_labels_lie_on_no_other_label():
    boxes = [Box((4 * step, 3 * step, 30, 20), f"some class {step}", step, True) for step in range(12)]
    size = 8.0
    labels = place_labels(boxes, (160, 120), size)
    assert 3 <= len(labels) <= len(boxes)
    frames = [
        (label.x, label.y - size, label.x + text_width(label.text, size), label.y + 0.25 * size) for label in labels
    ]
    assert not any(overlap(a, b) for place, a in enumerate(frames) for b in frames[place + 1 :])
    assert all(a[0] >= 0 and a[1] >= -0.01 and a[2] <= 160.01 and a[3] <= 120.01 for a in frames)
    (long,) = place_labels([Box((0, 0, 9, 9), "x" * 99, 0, True)], (160, 120), size)
    assert long.text.endswith("…")


def test_tables_turn_and_are_cut_to_the_page():
    def table(count):
        columns = [Column("model"), Column("mode"), *(Column(f"some-class-{n}", numeric=True) for n in range(count))]
        return Table(
            "key", "caption", columns, [[text_cell("a model"), text_cell("full"), *[number_cell(50.0)] * count]]
        )

    assert [one.turned for one in fitted(table(3))] == [False]
    assert [one.turned for one in fitted(table(12))] == [True]
    parts = fitted(table(60))
    assert len(parts) > 1
    assert all(_width(part.table, turned=True) <= PAGE for part in parts)
    names = [column.name for part in parts for column in part.table.columns[2:]]
    assert names == [f"some-class-{n}" for n in range(60)]
    assert [part.table.columns[0].name for part in parts] == ["model"] * len(parts)


def test_the_front_is_what_nothing_cheaper_reaches():
    dots = [
        Dot(Config("m", "", str(n), "1"), x, y) for n, (x, y) in enumerate([(1, 5), (2, 4), (3, 9), (3, 8), (9, 9)])
    ]
    assert [(dot.x, dot.y) for dot in front(dots)] == [(1, 5), (3, 9)]


def test_no_name_of_the_front_touches_the_axis_below_it(tmp_path):
    """A dot low on the left, beside which there is room only just above the axis."""
    write(tmp_path, "aquarium", "linear", 1.0)
    (config,) = suite_of(tmp_path).scores
    for height in range(0, 40):
        spots = {Dot(config, 1, 1): (0.3, height / 190)}
        for _, _, left, bottom in _named(list(spots), spots, several=False):
            assert left >= 0 and bottom * 190 >= 4


def test_a_name_that_would_be_read_as_another_dots_is_left_out(tmp_path):
    """Two dots whose names have room: alone both are named; a third one close to the second makes it nameless."""
    write(tmp_path, "aquarium", "linear", 1.0)
    (config,) = suite_of(tmp_path).scores
    first, second, third = (Dot(config, number, number) for number in (1, 2, 3))
    spots = {first: (0.4, 0.3), second: (0.7, 0.7)}
    assert [dot for dot, *_ in _named([first, second], spots, several=False)] == [second, first]
    spots[third] = (0.703, 0.705)
    assert [dot for dot, *_ in _named([first, second], spots, several=False)] == [first]


def test_latex_is_a_booktabs_table_with_the_best_in_bold():
    columns = [Column("model"), Column("AP", numeric=True, best=True), Column("seeds", numeric=True)]
    rows = [
        [text_cell("a"), number_cell(50.0), number_cell(3, 0)],
        [text_cell("b"), number_cell(70.0), number_cell(1, 0)],
        [text_cell("c"), number_cell(90.0, kind="partial"), number_cell(1, 0)],
    ]
    text = to_latex(Table("mini-x", "AP of 50 %", columns, rows))
    assert "\\begin{table}" in text
    assert "\\caption{AP of 50 \\%.}" in text
    assert "\\label{tab:mini-x}" in text
    assert "b & \\textbf{70.0} & 1" in text
    assert text.count("textbf") == 1  # the mean over fewer tasks is not compared
    assert "\\textit{90.0}" in text
    assert text.count("rule") == 3
