"""A test that is killed resumes at the next image, to the same numbers; of other weights nothing is taken up."""

from __future__ import annotations

import functools
import time

import pytest
import torch

from glip_core import InputError
from odinw_bench import RunSpec, run
from odinw_bench.engine import unfinished
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.optimise import DivergedError
from odinw_bench.engine.unfinished import UnfinishedTest
from odinw_bench.models.glip import GlipModel
from odinw_bench.runs import run as running
from odinw_bench.runs.claims import resume_path
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.progress import CellProgress
from odinw_bench.runs.record import read_record

QUICK = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}
SPECS = {
    "coco": RunSpec(dataset="pothole", mode="zero-shot"),
    "tuned": RunSpec(dataset="pothole", mode="prompt", shots=1, overrides=QUICK),
    "lvis": RunSpec(dataset="mini-lvis", suite="mini-lvis", mode="zero-shot", model="glip-nano-a"),
    "sentences": RunSpec(dataset="mini-flickr", suite="mini-flickr", mode="zero-shot"),
}

SLOW = [pytest.param(kind, marks=pytest.mark.integration) for kind in ("lvis", "sentences")]


@pytest.fixture
def killed(monkeypatch):
    """Let a run be killed after some batches of its test; what is still to be done is counted."""
    monkeypatch.setattr(unfinished, "PATIENCE", 0.0)
    monkeypatch.setattr(running, "Resume", functools.partial(Resume, overhead=1.0))  # whatever saving costs
    monkeypatch.setattr(GlipModel, "batch_size", 3)
    begin, keep, rest = UnfinishedTest.begin, UnfinishedTest.keep, []

    def counted(self, split):
        left, found = begin(self, split)
        if self.resume.path is not None:
            rest.append((len(split), len(left)))
        return left, found

    monkeypatch.setattr(UnfinishedTest, "begin", counted)

    def kill(spec, results, batches=2):
        def cut(self, images, found):
            keep(self, images, found)
            cut.left -= self.resume.path is not None  # validation keeps nothing
            if not cut.left:
                raise KeyboardInterrupt

        cut.left = batches
        with monkeypatch.context() as context:
            context.setattr(UnfinishedTest, "keep", cut)
            with pytest.raises(KeyboardInterrupt):
                run(spec, results)
        return rest

    return kill


@pytest.mark.parametrize("kind", ["coco", "tuned", *SLOW])
def test_it_goes_on_to_the_same_numbers(killed, tmp_path, kind):
    spec = SPECS[kind]
    rest = killed(spec, tmp_path / "war")
    assert list((tmp_path / "war").rglob(".*.tested-0"))
    war = run(spec, tmp_path / "war")
    whole, left = rest[-1]
    assert left == whole - (2 if kind == "sentences" else 6)  # sentences go picture by picture
    peace = run(spec, tmp_path / "peace")
    assert rest[-1] == (whole, whole)
    assert war["metrics"] == peace["metrics"]
    predictions = [
        (prepare(spec, tmp_path / name).folder / "predictions.json").read_bytes() for name in ("war", "peace")
    ]
    assert predictions[0] == predictions[1]
    assert not list((tmp_path / "war").rglob(".*tested*"))


def test_its_time_is_that_of_all_who_worked_on_it(killed, tmp_path):
    killed(SPECS["coco"], tmp_path)
    (path,) = tmp_path.rglob(".*.tested-0")
    kept = torch.load(path, weights_only=True)
    assert kept["state"]["done"] == 6
    kept["state"]["seconds"] = 1000.0
    Resume(path, kept["identity"]).offer(lambda: kept["state"])
    cost = run(SPECS["coco"], tmp_path)["cost"]
    assert cost["test_seconds"] > 1000
    assert cost["images_per_second"] < 1
    assert cost["test_stages"]["images"] + cost["test_stages"]["model"] == pytest.approx(cost["test_seconds"], abs=0.01)


@pytest.mark.parametrize("spoilt", ["weights", "split", "file"])
def test_what_is_of_something_else_is_not_taken_up(killed, tmp_path, monkeypatch, spoilt):
    rest = killed(SPECS["tuned"], tmp_path)
    (path,) = tmp_path.rglob(".*.tested-0")
    if spoilt == "file":
        path.write_bytes(path.read_bytes()[:-3])
    elif spoilt == "weights":
        monkeypatch.setattr(unfinished, "file_sha256", lambda _: "others")
    else:
        kept = torch.load(path, weights_only=True)
        Resume(path, kept["identity"]).offer(lambda: kept["state"] | {"split": "another"})
    run(SPECS["tuned"], tmp_path)
    assert rest[-1][0] == rest[-1][1]


def test_tuning_is_no_part_of_a_short_test(killed, tmp_path, monkeypatch):
    """However long it took, what is found in the first seconds of testing is not kept."""
    monkeypatch.setattr(unfinished, "PATIENCE", 20.0)
    tune = running.Work.tune

    def slow(self, model):
        found, now = tune(self, model), time.perf_counter
        monkeypatch.setattr(time, "perf_counter", lambda: now() + 1000)
        return found

    monkeypatch.setattr(running.Work, "tune", slow)
    killed(SPECS["tuned"], tmp_path)
    assert not list(tmp_path.rglob(".*.tested-0"))


@pytest.mark.parametrize(
    ("error", "kept"),
    [(OSError(5, "no answer"), True), (InputError("no picture"), True), (DivergedError("nan"), False)],
)
def test_a_failure_that_may_pass_costs_no_tuning(tmp_path, monkeypatch, error, kept):
    """Of a network drive that did not answer, say; a loss that is not finite would come again."""
    spec = RunSpec(dataset="pothole", mode="linear", shots=1, overrides=QUICK | {"epochs": 2})
    report = CellProgress.epoch

    def stop(self, line):
        report(self, line)
        if line["epoch"] == 2:
            raise error

    with monkeypatch.context() as context:
        context.setattr(CellProgress, "epoch", stop)
        with pytest.raises(type(error)):
            run(spec, tmp_path)
    cell = prepare(spec, tmp_path)
    assert read_record(cell.folder)["status"] == "failed"
    assert resume_path(cell.folder).exists() == kept
    epochs = []
    monkeypatch.setattr(CellProgress, "epoch", lambda self, line: (report(self, line), epochs.append(line["epoch"])))
    assert run(spec, tmp_path)["status"] == "done"
    assert epochs == ([2] if kept else [1, 2])
    assert not list(tmp_path.rglob(".*.resume"))


def test_force_begins_again_and_a_short_test_keeps_nothing(killed, tmp_path, monkeypatch):
    rest = killed(SPECS["coco"], tmp_path)
    run(SPECS["coco"], tmp_path, force=True)
    assert rest[-1][0] == rest[-1][1]
    monkeypatch.setattr(unfinished, "PATIENCE", 20.0)
    killed(SPECS["coco"], tmp_path / "short")
    assert not list((tmp_path / "short").rglob(".*.tested-0"))
