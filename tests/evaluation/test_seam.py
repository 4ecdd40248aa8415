"""Ways of testing beside COCO's AP: through run, score, show, compare and report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from glip_core import InputError
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets import registry
from odinw_bench.evaluation import EVALUATIONS, Evaluation, evaluation_of
from odinw_bench.evaluation.coco import CocoEvaluation
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import read_record


class HalfRecall(CocoEvaluation):
    """COCO's detections, counted in another way."""

    name = "half"
    headline = "R@2"
    shown = ("R@2", "found")
    modes = ("zero-shot",)
    only_because = "this is a test"

    def score(self, task, split, predictions, extra=()):
        return {"R@2": 50.0, "found": float(len(predictions)), "by_type": {"round": 1.0, "square": None}}


@pytest.fixture
def half(monkeypatch):
    """The task packages, tested by :class:`HalfRecall`."""
    monkeypatch.setitem(EVALUATIONS, "half", HalfRecall())
    tasks = tuple(
        replace(task, evaluation="half") if task.name == "packages" else task for task in registry.load_suite("mini")
    )
    built_in = registry._built_in
    monkeypatch.setattr(registry, "_built_in", lambda suite: tasks if suite == "mini" else built_in(suite))
    return next(task for task in tasks if task.name == "packages")


def test_every_task_is_tested_by_an_evaluation_that_there_is():
    for suite in registry.SUITES:
        for task in registry.load_suite(suite):
            assert isinstance(evaluation_of(task), Evaluation)


def test_another_evaluation_is_another_run(half):
    cell = prepare(RunSpec("packages", mode="zero-shot"))
    usual = prepare(RunSpec("pothole", mode="zero-shot"))
    assert cell.task.evaluation == "half"
    assert usual.task.evaluation == "coco"
    assert cell.digest != prepare(RunSpec("packages", mode="zero-shot", precision="bf16")).digest


def test_coco_leaves_the_digest_as_it_was(half, monkeypatch):
    changed = prepare(RunSpec("packages", mode="zero-shot")).digest
    monkeypatch.undo()
    assert load_task("packages", "mini").evaluation == "coco"
    assert prepare(RunSpec("packages", mode="zero-shot")).digest != changed


def test_a_mode_that_makes_no_sense_is_refused_with_the_reason(half, cli):
    with pytest.raises(InputError, match=r"'prompt' is not for 'packages'.*zero-shot alone, because this is a test"):
        prepare(RunSpec("packages", mode="prompt", shots=1))
    plan = cli("run", "--dataset", "packages", "--mode", "zero-shot,prompt", "--dry-run")
    assert plan.code == 0
    assert "left out: mode 'prompt' is not for 'packages'" in plan.err
    assert "1 run: 0 done" in plan.out


def test_the_headline_is_in_every_table(half, cli, tmp_path):
    done = cli(
        "run", "--dataset", "packages,pothole", "--mode", "zero-shot", "--engine", "local", "--results", tmp_path
    )
    assert done.code == 0, done.err
    assert "R@2" in done.out
    assert "50.0" in done.out
    (folder,) = (tmp_path / "mini/glip-nano/packages").iterdir()
    record = read_record(folder)
    assert (record.headline, record.result, record.ap) == ("R@2", 50.0, None)
    assert record["evaluation"] == {"name": "half", "headline": "R@2", "shown": ["R@2", "found"]}
    (other,) = (tmp_path / "mini/glip-nano/pothole").iterdir()
    assert "evaluation" not in read_record(other)
    shown = cli("show", folder)
    assert "by_type round" in shown.out
    assert "by COCO's AP" in cli("compare", folder, folder).refused()
    scored = cli(
        "score", "--suite", "mini", "--dataset", "packages", "--model-name", "mine",
        "--predictions", folder / "predictions.json", "--results", tmp_path,
    )  # fmt: skip
    assert scored.code == 0, scored.err
    assert "R@2" in scored.out
    report = cli("report", "--results", tmp_path, "--out", tmp_path / "out", "--pictures", 0)
    assert report.code == 0, report.err
    text = (tmp_path / "out/report.md").read_text()
    assert "Evaluation half" in text
    assert "1 finished runs, 0 failed" in text


def test_a_report_of_another_evaluation_alone(half, cli, tmp_path):
    cli("run", "--dataset", "packages", "--mode", "zero-shot", "--engine", "local", "--results", tmp_path)
    report = cli("report", "--results", tmp_path, "--out", tmp_path / "out")
    assert report.code == 0, report.err
    assert "Suite mini" not in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"name": "half"}}, "evaluation.headline is missing"),
        ({"evaluation": {"headline": "R@2"}}, "evaluation.name is missing"),
        ({"metrics": {"AP": 1.0}}, "metrics.R@2 is missing"),
        ({"metrics": {"R@2": 101.0}}, "metrics.R@2 must be a number from 0 to 100"),
        ({"metrics": {"R@2": 1.0, "by_type": {"round": "x"}}}, "metrics.by_type.round must be a number"),
    ],
)
def test_records_of_other_evaluations_are_checked(half, cli, tmp_path, changes, message):
    cli("run", "--dataset", "packages", "--mode", "zero-shot", "--engine", "local", "--results", tmp_path)
    (folder,) = (tmp_path / "mini/glip-nano/packages").iterdir()
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | changes))
    assert message in cli("show", folder).refused()
