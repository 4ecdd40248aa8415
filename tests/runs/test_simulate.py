"""Grids on many workers, and the costs they are simulated with."""

from __future__ import annotations

import os
import random

import pytest

from odinw_bench import RunSpec, run
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.runs import costs
from odinw_bench.runs.costs import CostModel, seconds_of
from odinw_bench.runs.launchers.queue import CellQueue
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import read_record
from odinw_bench.runs.simulate import Interruptions, Job, simulate
from tests.report import made

JOBS = [Job(str(i), seconds) for i, seconds in enumerate([3, 1, 4, 1, 5, 9, 2, 6])]


def test_one_worker_takes_the_sum():
    outcome = simulate(JOBS, 1)
    assert outcome.makespan == outcome.busy == outcome.floor == 31
    assert outcome.utilisation == 1
    assert outcome.last[0] in "13"  # the shortest


def test_with_enough_workers_the_longest_run_decides():
    outcome = simulate(JOBS, 100)
    assert outcome.makespan == outcome.floor == 9
    assert outcome.last[0] == "5"


def test_longest_first_is_better_than_any_order():
    """Any order ends within the shared work and the longest run one after the other; this one near the floor."""
    ratios = []
    for seed in range(20):
        draw = random.Random(seed)
        jobs = [Job(str(i), draw.expovariate(1)) for i in range(40)]
        for workers in (2, 3, 8):
            sorted_, as_given = simulate(jobs, workers), simulate(jobs, workers, longest=False)
            worst = sum(job.seconds for job in jobs) / workers + max(job.seconds for job in jobs)
            assert sorted_.floor <= sorted_.makespan <= worst
            ratios.append((sorted_.makespan / sorted_.floor, as_given.makespan / as_given.floor))
    longest, given = (sum(side) / len(side) for side in zip(*ratios, strict=True))
    assert longest < 1.02 < given


def test_interruptions_cost_what_was_not_saved():
    """Without parts a run of an hour that is interrupted twice an hour takes (e^2 - 1) / 2 hours; with parts little."""
    jobs = [Job(str(i), 3600) for i in range(3000)]
    cut = Interruptions(per_hour=2, restart=0)
    again = simulate(jobs, 1, interruptions=cut)
    assert again.busy / 3000 / 3600 == pytest.approx(3.19, rel=0.06)  # (e^2 - 1) / 2; spread of the mean: 2 %
    resumed = simulate([Job(job.name, 3600, part=36) for job in jobs], 1, interruptions=cut)
    assert resumed.busy / 3000 / 3600 == pytest.approx(1.01, abs=0.01)  # half a part for each of two interruptions
    assert resumed.interrupted > 5000


def test_no_workers_is_an_error():
    with pytest.raises(ValueError, match="a worker"):
        simulate(JOBS, 0)


def test_the_queue_begins_with_the_longest(tmp_path):
    specs = [
        RunSpec(dataset="packages", mode="zero-shot"),
        RunSpec(dataset="packages", mode="prompt", shots=1),
        RunSpec(dataset="aquarium", mode="prompt", shots="all"),
    ]
    queue = CellQueue([prepare(spec, tmp_path) for spec in specs])
    assert [queue.take() for _ in specs] == [2, 1, 0]


def test_costs_count_the_repeats_of_few_images(tmp_path):
    """Of 120 steps as long as the protocol asks for, early stopping left out a quarter, whatever the images are."""
    spec = made.spec(mode="prompt", shots=1)
    settings = hyperparameters("mini-2", "prompt", 1)
    content = made.record(spec, made.metrics(50.0))
    content["protocol"]["hyperparameters"] = settings.to_json()
    content["data"] |= {"train_images": 1, "validation_images": 20}
    content["cost"] |= {"tune_seconds": 22.0, "tune_steps": 90, "test_seconds": 1.0}
    made.write(tmp_path, content)
    model = CostModel.of(tmp_path, {"glip-nano"})
    sums = model.tuning["glip-nano", "prompt"]
    assert (sums.passes, sums.most) == (90 * 4, 120 * 4)
    assert sums.evaluated == 3 * 20  # after every two of eight epochs
    cell = prepare(RunSpec("packages", mode="prompt", shots=1), tmp_path)
    rest = 60 - 22 - 1  # of the minute from start to end
    assert model.seconds(cell) == pytest.approx(22.0 + len(cell.test) / 40 + rest, rel=0.01)


def test_costs_are_those_of_the_records(tmp_path):
    """A record's own cell is estimated at what it took; another data set by its images."""
    quick = {"epochs": 2, "repeats_per_epoch": 2, "min_steps_per_epoch": 1}
    spec = RunSpec(dataset="packages", mode="prompt", shots=1, overrides=quick)
    record = run(spec, tmp_path)
    model = CostModel.of(tmp_path, {"glip-nano"})
    took = record.cost["tune_seconds"] + record.cost["test_seconds"]
    (rest,) = model.once["glip-nano", False]
    assert -1 < rest < 60  # times of start and end are of whole seconds
    rest = max(0, rest)
    assert model.seconds(prepare(spec, tmp_path)) == pytest.approx(took + rest, rel=0.01)
    other = prepare(RunSpec(dataset="raccoon", mode="zero-shot"), tmp_path)
    a_second = record.cost["test_seconds"] / record.data["test_images"]
    assert model.seconds(other) == pytest.approx(a_second * len(other.test) + rest)
    assert model.seconds(prepare(RunSpec(dataset="raccoon", mode="full", shots=1), tmp_path)) is None
    (unknown,) = seconds_of(
        [prepare(RunSpec(dataset="raccoon", model="glip-nano-a", mode="zero-shot"), tmp_path)], tmp_path
    )
    assert unknown is None


def test_few_records_are_read_however_many_there_are(tmp_path, monkeypatch):
    """The newest of each model, data set and mode; of other models none."""
    for seed in range(30):
        content = made.record(made.spec(mode="linear", seed=seed), made.metrics(50.0))
        content["cost"]["test_seconds"] = 4.0 if seed < 4 else 400.0
        folder = made.write(tmp_path, content)
        os.utime(folder / "run.json", (2e9 - seed, 2e9 - seed))
    made.write(tmp_path, made.record(made.spec(model="glip-nano-a"), made.metrics(50.0)))
    damaged = tmp_path / "mini" / "glip-nano" / "packages" / "linear-5shot-seed9-00000000"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    os.utime(damaged / "run.json", (2.1e9, 2.1e9))
    read = []
    monkeypatch.setattr(costs, "read_record", lambda folder: read.append(folder) or read_record(folder))
    model = CostModel.of(tmp_path, {"glip-nano"})
    assert model.testing["glip-nano", ""] == [16.0, 160]
    assert len(read) == 5


def test_runs_on_another_device_say_nothing(tmp_path):
    made.write(tmp_path, made.record(made.spec(), made.metrics(50.0)))
    cell = prepare(RunSpec("packages", mode="zero-shot"), tmp_path)
    assert seconds_of([cell], tmp_path, "cuda:1") == [None]
    assert seconds_of([cell], tmp_path, "cpu")[0] > 0


def test_runs_of_an_evaluation_count_for_it_alone(tmp_path):
    """Seconds for an image of LVIS are those of all its captions."""
    content = made.record(made.spec(mode="zero-shot"), {"AP": 9.0})
    made.write(tmp_path, content | {"evaluation": {"name": "lvis", "headline": "AP"}})
    assert CostModel.of(tmp_path, {"glip-nano"}).testing == {("glip-nano", "lvis"): [2.0, 40]}
