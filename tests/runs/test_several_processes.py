"""Several processes at one run each: what fails in one of them, and what they all must hear of. Threads stand in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from glip_core import InputError
from odinw_bench import RunSpec
from odinw_bench.engine import distributed as processes
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.distributed import DistributedContext, ProcessFailedError, TorchDistributed
from odinw_bench.engine.micro_batch import MemoryExhaustedError
from odinw_bench.engine.optimise import DivergedError
from odinw_bench.engine.resuming import take_up
from odinw_bench.runs import run as runner
from odinw_bench.runs.claims import resume_path
from odinw_bench.runs.launchers import local
from odinw_bench.runs.launchers.local import TorchrunEngine
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.plan import Plan
from odinw_bench.runs.prepare import prepare
from tests.runs.test_launchers import Log

SPECS = [RunSpec(dataset="packages", mode="zero-shot"), RunSpec(dataset="pothole", mode="zero-shot")]


class Member(DistributedContext):
    """One of several processes, in a thread; whoever waits for one that left fails after a second."""

    def __init__(self, rank, gate, board):
        self.rank, self.size, self.gate, self.board, self.parted = rank, gate.parties, gate, board, False

    def broadcast(self, value):
        if self.is_main:
            self.board[:] = [value]
        self.gate.wait(1)
        value = self.board[0]
        self.gate.wait(1)
        return value

    def leave(self):
        self.parted = True

    close = leave


@pytest.fixture
def together(monkeypatch, tmp_path):
    """Calls the engine in two threads, whose part of a run is what ``part`` does; what came of it, and who parted."""
    cells = [prepare(spec, tmp_path) for spec in SPECS]
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "read_record", lambda folder: folder.name)

    def call(part):
        gate, board, done = threading.Barrier(2), [], ([], [])
        members = [Member(rank, gate, board) for rank in (0, 1)]
        mine = threading.local()

        def work(rank, cell):
            done[rank].append(cell.task.name)
            part(rank, cell)

        monkeypatch.setattr(runner, "_lead", lambda cell, *_: work(0, cell))
        monkeypatch.setattr(runner, "_follow", lambda cell, *_: work(1, cell))
        monkeypatch.setattr(processes, "TorchDistributed", lambda _: mine.context)

        def process(member):
            mine.context = member
            try:
                return TorchrunEngine().run(cells, RunOptions(tmp_path, device="cpu"), Log())
            except Exception as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(process, members))
        return found, done, [member.parted for member in members]

    return call


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_one_process_ends_it(together, rank):
    """Else it would go on to the next cell, while the others wait for it in this one."""

    def part(mine, cell):
        if mine == rank:
            raise OSError("the disk is gone")

    found, done, parted = together(part)
    assert isinstance(found[rank], ProcessFailedError)
    assert str(found[rank]) == f"process {rank} of 2: OSError: the disk is gone"
    assert isinstance(found[rank].__cause__, OSError)
    assert not parted[rank]  # which would be to wait for the others
    assert done[rank] == ["packages"]


def test_a_loss_that_is_not_finite_is_known_to_all_and_the_next_cell_follows(together):
    def part(mine, cell):
        if cell.task.name == "packages":
            raise DivergedError("the loss became nan")

    found, done, parted = together(part)
    assert done == (["packages", "pothole"],) * 2
    assert all(parted)
    for outcomes in found:
        assert [outcome.error for outcome in outcomes] == ["DivergedError: the loss became nan", None]


@pytest.mark.parametrize(
    ("error", "unusable"), [(InputError("cannot write to the results folder"), True), (OSError(5, "no answer"), False)]
)
def test_where_a_cell_cannot_be_claimed_all_go_on_to_the_same_next_one(together, monkeypatch, error, unusable):
    claim = runner.claim

    def claimed(folder):
        if "packages" in folder.parts:
            raise error
        return claim(folder)

    monkeypatch.setattr(runner, "claim", claimed)
    found, done, parted = together(lambda *_: None)
    assert done == (["pothole"],) * 2
    assert all(parted)
    for outcomes in found:
        assert outcomes[0].unusable == unusable
        assert str(error) in outcomes[0].error
        assert outcomes[1].error is None


def test_a_claim_that_was_lost_ends_the_process(together):
    """To put the cell off in one process alone would be to do another cell than the others."""

    def part(mine, cell):
        if mine == 0:
            raise runner.LockLostError("another process has it")

    found, _, _ = together(part)
    assert isinstance(found[0], ProcessFailedError)


@pytest.mark.parametrize("same", [True, False])
def test_all_do_what_is_left_by_the_leaders_look(monkeypatch, tmp_path, same):
    """Another command may end a cell between two looks; with other data or weights nothing can be done together."""
    gate, board, mine = threading.Barrier(2), [], threading.local()
    monkeypatch.setattr(processes, "TorchDistributed", lambda _: mine.context)
    cells = [prepare(spec, tmp_path) for spec in SPECS]
    plans = [Plan(cells, frozenset()), Plan(cells if same else cells[:1], frozenset({cells[0].folder}))]

    def process(rank):
        mine.context = Member(rank, gate, board)
        try:
            return TorchrunEngine().agree(plans[rank], RunOptions(tmp_path)).todo
        except ProcessFailedError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        leader, other = pool.map(process, (0, 1))
    assert leader == cells
    assert other == cells if same else "process 1 of 2: it plans other runs than the leader" in other


def test_a_process_that_was_given_another_run_than_the_leader_ends(monkeypatch, tmp_path):
    cells = [prepare(spec, tmp_path) for spec in SPECS]
    monkeypatch.setattr(runner, "_follow", lambda *_: pytest.fail("two runs as one"))
    context = Told(cells[0].digest)
    with pytest.raises(ProcessFailedError, match="process 1 of 2: the leader does run"):
        runner.execute(cells[1], RunOptions(tmp_path), context)


class Told(DistributedContext):
    """The second of two processes, and what the leader tells it; or the leader, and what was so when it spoke."""

    def __init__(self, value, rank=1, look=None):
        self.rank, self.size, self.value, self.look, self.seen = rank, 2, value, look, []

    def broadcast(self, value):
        if not self.is_main:
            return self.value
        self.seen.append((value, self.look and self.look()))
        return value


class Loop:
    """Stands in for tuning."""

    epochs = 0

    def accepts(self, state):
        return True

    def restore(self, state):
        self.epochs = state["epochs"]


def test_processes_begin_at_the_same_epoch(tmp_path):
    """One that sees no state, or an older one, would tune other weights than the rest."""
    resume = Resume(tmp_path / "state")
    assert not take_up(Loop(), resume, Told(0))
    with pytest.raises(InputError, match="a state after 0 epochs and the leader one after 3"):
        take_up(Loop(), resume, Told(3))
    resume.offer(lambda: {"epochs": 3})
    assert take_up(Loop(), resume, Told(3))
    with pytest.raises(InputError, match="a state after 3 epochs and the leader one after 0"):
        take_up(Loop(), resume, Told(0))


def test_a_state_that_cannot_be_restored_is_not_tried_for_ever(tmp_path):
    class Other(Loop):
        def restore(self, state):
            raise ValueError("another version's optimiser")

    resume = Resume(tmp_path / "state")
    resume.offer(lambda: {"epochs": 3})
    with pytest.raises(ValueError, match="another version"):
        take_up(Other(), resume, Told(3))
    assert resume.load() is None


def test_an_earlier_state_is_cleared_before_the_others_look_for_one(monkeypatch, tmp_path):
    cell = prepare(SPECS[0], tmp_path)
    state = resume_path(cell.folder)
    Resume(state, cell.digest).offer(dict)
    monkeypatch.setattr(runner, "_lead", lambda *_: None)
    monkeypatch.setattr(runner, "read_record", lambda folder: None)
    leader = Told(None, rank=0, look=state.exists)
    runner.execute(cell, RunOptions(tmp_path, force=True, resumed=True), leader)
    runner.execute(cell, RunOptions(tmp_path, force=True), leader)
    assert [one for one in leader.seen if one[0]] == [(cell.digest, True), (cell.digest, False)]


@pytest.mark.parametrize(
    ("error", "recorded"), [(RuntimeError("the others are gone"), False), (MemoryExhaustedError("too large"), True)]
)
def test_the_end_of_another_process_is_not_recorded_as_the_runs_failure(monkeypatch, tmp_path, error, recorded):
    def fail(*_):
        raise error

    monkeypatch.setattr(runner, "_begin", fail)
    cell = prepare(SPECS[0], tmp_path)
    with pytest.raises(ProcessFailedError):
        runner.execute(cell, RunOptions(tmp_path), Told(None, rank=0))
    assert (cell.folder / "run.json").exists() == recorded


def test_processes_without_work_are_warned_of_once(tmp_path):
    tuned = [RunSpec(dataset=name, mode="prompt", shots=1) for name in ("packages", "pothole")]
    cells = [prepare(spec, tmp_path) for spec in (SPECS[0], *tuned)]
    log = Log()
    local._warn_of_idle_processes(cells, cells[1].settings.batch, log)
    assert log.said == []
    local._warn_of_idle_processes(cells, cells[1].settings.batch + 2, log)
    ((index, text),) = log.said
    assert index == 1
    assert "2 of them have nothing to do" in text


def test_processes_wait_for_each_other_for_hours(monkeypatch):
    """They meet after each has tested its share; NCCL's own limit is ten minutes."""
    given = {}
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **options: given.update(options))
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    TorchDistributed("cpu")
    assert given["timeout"].total_seconds() >= 4 * 3600


BROKEN = """
from odinw_bench.cli import main
from odinw_bench.runs.work import Work

whole = Work.tune_and_test

def tune_and_test(self, model):
    if self.distributed.rank == 1:
        raise OSError("the disk is gone")
    return whole(self, model)

Work.tune_and_test = tune_and_test
main()
"""


@pytest.mark.integration
def test_torchrun_ends_when_one_process_fails(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "broken.py"]
    command = [*launcher, "run", "--dataset", "packages,pothole", "--mode", "linear", "--shots", "1", "--quiet"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "error: process 1 of 2: OSError: the disk is gone" in done.stderr
    assert not list((tmp_path / "results").rglob("pothole*"))  # the next one is not begun
