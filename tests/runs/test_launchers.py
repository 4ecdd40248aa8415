"""Engines: the same records, whoever does the work, and whatever dies meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from glip_core import InputError
from odinw_bench import RunSpec
from odinw_bench.engine.cache_settings import CacheSettings
from odinw_bench.models import model_facts
from odinw_bench.models.hub import checkpoints
from odinw_bench.runs.claims import claim
from odinw_bench.runs.launchers import base as engines_base
from odinw_bench.runs.launchers import choose as engines
from odinw_bench.runs.launchers import choose_engine, make_engine
from odinw_bench.runs.launchers import cluster as engines_cluster
from odinw_bench.runs.launchers import local as engines_local
from odinw_bench.runs.launchers.queue import CellQueue
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import find_records

QUICK = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}
SPECS = [
    RunSpec(dataset="packages", mode="zero-shot"),
    RunSpec(dataset="pothole", mode="prompt", shots=1, overrides=QUICK),
    RunSpec(dataset="packages", mode="zero-shot", weights="dyhead-nano"),  # weights of another model
]


def cells(specs, results):
    return [prepare(spec, results) for spec in specs]


class Log:
    """Writes down what it is called with."""

    def __init__(self, on_begin=None):
        self.began, self.said, self.ended, self.on_begin = [], [], [], on_begin

    def begin(self, index):
        self.began.append(index)
        if self.on_begin:
            self.on_begin(index)

    def warn(self, index, text):
        self.say(index, text)

    def say(self, index, text):
        self.said.append((index, text))

    def end(self, index, outcome):
        self.ended.append(index)


@pytest.fixture(scope="module")
def locally(tmp_path_factory):
    log, results = Log(), tmp_path_factory.mktemp("local")
    return make_engine("local").run(cells(SPECS, results), RunOptions(results), log), log, results


def test_a_failing_cell_does_not_stop_the_others(locally):
    outcomes, log, results = locally
    assert [o.error is None for o in outcomes] == [True, True, False]
    assert outcomes[2].unusable
    assert "does not fit" in outcomes[2].error
    assert log.began == log.ended == [0, 1, 2]
    assert any("epoch 1/1" in text for _, text in log.said)
    assert [o.spec for o in outcomes] == SPECS
    assert len(list(find_records(results))) == 3


@pytest.mark.integration
def test_processes_give_the_same_records(locally, tmp_path):
    log = Log()
    outcomes = make_engine("processes", 2).run(cells(SPECS, tmp_path), RunOptions(tmp_path), log)
    for here, there in zip(locally[0], outcomes, strict=True):
        assert here.error == there.error
        if here.record:
            assert here.record["metrics"] == there.record["metrics"]
            assert here.record["digest"] == there.record["digest"]
    assert sorted(log.ended) == [0, 1, 2]
    assert not multiprocessing.active_children()


@pytest.mark.integration
def test_a_cell_whose_process_dies_is_done_again(tmp_path):
    killed = []

    def kill_once(index):
        if not killed:
            (child,) = multiprocessing.active_children()
            child.kill()
            killed.append(child.pid)

    log = Log(on_begin=kill_once)
    outcomes = make_engine("processes", 1).run(cells(SPECS[:1], tmp_path), RunOptions(tmp_path), log)
    assert log.began == [0, 0]
    assert outcomes[0].record["status"] == "done"
    assert any("killed by signal 9" in text for _, text in log.said)


@pytest.mark.integration
def test_a_cell_whose_process_always_dies_is_a_recorded_failure(tmp_path):
    def kill(index):
        if index == 0:
            for child in multiprocessing.active_children():
                child.kill()

    outcomes = make_engine("processes", 1).run(cells(SPECS[:1], tmp_path), RunOptions(tmp_path), Log(on_begin=kill))
    assert "killed by signal 9 (out of memory?)" in outcomes[0].error
    assert not outcomes[0].unusable
    (folder,) = tmp_path.glob("mini/*/*/*")
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["error"]) == ("failed", outcomes[0].error)


def test_once_more_a_cell_is_done_with_what_its_process_kept(tmp_path):
    """Also under --force, which else begins from the start."""
    queue = CellQueue(cells(SPECS[:1], tmp_path))
    options = RunOptions(tmp_path, force=True)
    assert not queue.options_of(0, options).resumed
    queue.died(0, options, "killed", Log())
    again = queue.options_of(0, options)
    assert again.resumed and again.force


@pytest.mark.parametrize("error", [InputError("cannot write to the results folder"), OSError(30, "Read-only")])
def test_a_death_that_cannot_be_recorded_does_not_end_the_grid(tmp_path, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("odinw_bench.runs.run.record_failure", refuse)
    queue, log = CellQueue(cells(SPECS[:2], tmp_path)), Log()
    for _ in range(2):
        queue.died(0, RunOptions(tmp_path), "killed by signal 9", log)
    assert queue.outcomes[0].error == f"killed by signal 9; nor can that be recorded: {error}"
    assert log.ended == [0]
    assert not queue.finished


def test_a_cell_that_another_process_does_is_waited_for(tmp_path, monkeypatch):
    """It comes last, and is not done twice."""
    monkeypatch.setattr(engines_local, "PATIENCE_SECONDS", 0.05)
    specs = [SPECS[0], RunSpec(dataset="raccoon", mode="zero-shot")]
    folder = prepare(specs[0], tmp_path).folder
    released = threading.Event()
    held = claim(folder)
    held.__enter__()

    class Releasing(Log):
        def end(self, index, outcome):
            super().end(index, outcome)
            if index == 1:
                held.__exit__(None, None, None)
                released.set()

    log = Releasing()
    outcomes = make_engine("local").run(cells(specs, tmp_path), RunOptions(tmp_path), log)
    assert released.is_set()
    assert log.ended == [1, 0]
    assert log.began.count(0) >= 2
    assert any("waiting: process" in text for _, text in log.said)
    assert all(o.record["status"] == "done" for o in outcomes)


def test_what_another_process_finished_meanwhile_is_read_and_not_done_again(tmp_path, monkeypatch):
    """Between the look and the lock: the record counts."""
    from odinw_bench.runs import run as runner

    done = runner.run(SPECS[0], tmp_path)
    first_looks, real = iter([False]), runner.is_done
    monkeypatch.setattr(runner, "is_done", lambda folder: next(first_looks, real(folder)))
    assert runner.run(SPECS[0], tmp_path)["started"] == done["started"]


@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("locla", None, "did you mean 'local'"),
        ("local", 2, "has one worker"),
        ("processes", 0, "must be 1 or more"),
    ],
)
def test_engines_that_cannot_be(name, workers, message):
    with pytest.raises(InputError, match=message):
        make_engine(name, workers)


def chosen(name="auto", workers=None, device="cpu", model="glip-nano", cells=8) -> str:
    options = RunOptions(engine=name, workers=workers, device=device)
    return type(choose_engine(options, [model_facts(model)] * cells)).__name__


def test_many_small_cells_on_a_cpu_are_done_side_by_side(monkeypatch):
    monkeypatch.setattr(engines, "cores", lambda: 2)
    assert chosen() == "ProcessEngine"
    assert chosen(cells=2) == "LocalEngine"
    assert chosen(model="glip-t") == "LocalEngine"
    assert chosen(device="cuda") == "LocalEngine"
    assert chosen(name="local") == "LocalEngine"
    assert chosen(workers=1) == "LocalEngine"
    assert chosen(workers=2, model="glip-t", cells=1) == "ProcessEngine"
    monkeypatch.setattr(engines, "cores", lambda: 1)
    assert chosen() == "LocalEngine"


def test_a_busy_cell_is_not_an_outcome(tmp_path):
    with claim(prepare(SPECS[0], tmp_path).folder), pytest.raises(engines_base.BusyError):
        engines_base.do_cell(prepare(SPECS[0], tmp_path), RunOptions(tmp_path), print)


# -- Ray, by a stand-in; tests/runs/test_cluster.py has the real one ------------------------------------------------


@pytest.fixture
def cluster(monkeypatch):
    """Does cells of a cluster with such GPUs; returns the device of each, and what each took of the cluster."""

    def call(gpus, device, tmp_path, dying=False):
        seen, took = [], []

        class Died(Exception):
            pass

        class Task:
            def __init__(self, work):
                self.work = work

            def remote(self, cell, options):
                seen.append(options.device)
                return (Died() if dying else self.work(cell, options),)

        def get(reference):
            if isinstance(reference[0], Died):
                raise reference[0]
            return reference[0]

        def remote(max_retries, **needs):
            took.append(needs)
            return Task

        ray = SimpleNamespace(
            init=lambda **_: None,
            shutdown=lambda: None,
            cluster_resources=lambda: {"CPU": 4.0, "GPU": float(gpus)},
            remote=remote,
            wait=lambda references, **_: (references[:1], references[1:]),
            get=get,
            exceptions=SimpleNamespace(RayError=Died),
        )
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setattr(engines_cluster, "do_cell", lambda cell, *_: engines_base.Outcome(cell.spec, None))
        engine = make_engine("ray", ray_address="head:6379")
        outcomes = engine.run(cells(SPECS[:1], tmp_path), RunOptions(tmp_path, device=device), Log())
        return seen, [list(needs) for needs in took], outcomes

    return call


@pytest.mark.parametrize(
    ("gpus", "device", "expected", "kind"),
    [(2, "auto", "cuda", "num_gpus"), (2, "cuda", "cuda", "num_gpus"), (0, "auto", "cpu", "num_cpus")],
)
def test_the_clusters_gpus_count_not_this_computers(cluster, tmp_path, gpus, device, expected, kind):
    assert engines.device_for(device, "ray", "head:6379") == device  # this computer has no GPU, and need not
    seen, took, _ = cluster(gpus, device, tmp_path)
    assert (seen, took) == ([expected], [[kind]])


def test_on_a_cluster_of_this_computer_its_gpus_count(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert engines.device_for("auto", "ray", None) == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert engines.device_for("auto", "ray", None) == "auto"
    assert engines.device_for("cpu", "ray", None) == "cpu"


def test_paths_mean_the_same_on_every_computer_of_a_cluster(tmp_path, monkeypatch):
    """A worker may start in another folder than the command."""
    monkeypatch.chdir(tmp_path)
    embedded = Path(checkpoints.__file__).with_name("embedded") / "gdino-nano"
    shutil.copytree(embedded, tmp_path / "mine")
    cell = prepare(RunSpec(dataset="packages", mode="zero-shot", model="hf:mine"), "results")
    sent = engines_cluster._everywhere(cell)
    assert (sent.spec.model, sent.folder) == (f"hf:{tmp_path}/mine", tmp_path / cell.folder)
    assert sent.spec.to_json() == cell.spec.to_json()
    options = RunOptions(Path("results"), cache=CacheSettings(1, 1, Path("features")))
    sent = engines_cluster._same_everywhere(options)
    assert (sent.results, sent.cache.folder) == (tmp_path / "results", tmp_path / "features")


def test_ray_numbers_gpus_by_itself(cluster, tmp_path):
    with pytest.raises(InputError, match="use --device cuda"):
        engines.device_for("cuda:1", "auto", "head:6379")
    with pytest.raises(InputError, match="use --device cuda"):
        chosen("ray", device="cuda:1")
    with pytest.raises(InputError, match="use --device cuda"):
        cluster(2, "cuda:1", tmp_path)


def test_a_cell_that_died_on_a_clusters_gpu_is_recorded_by_a_computer_without(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    _, _, (outcome,) = cluster(1, "cuda", tmp_path, dying=True)
    assert "died" in outcome.error
    ((_, record),) = find_records(tmp_path)
    assert record["environment"]["device"] == "cuda"
