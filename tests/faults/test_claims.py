"""Two processes and one record: suspended, in another PID namespace, with a wrong clock, without ``flock``.

Whatever happens, no process writes into the scratch folder of another, and none puts half a record into place.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from odinw_bench.runs import claims
from odinw_bench.runs.claims import BusyError, LockLostError, claim
from odinw_bench.utils import folders, locks
from tests.faults.program import end, leftovers, numbers, records, start, when

NO_FLOCK = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks available")
fcntl.flock = refuse
"""
SHORT_LEASE = """
from odinw_bench.utils import locks
locks.BEAT_SECONDS, locks.LEASE_SECONDS = 0.1, 0.5
"""
HOLDER = """
import sys, time
from pathlib import Path
from odinw_bench.runs.claims import claim, LockLostError
folder, go_on = Path(sys.argv[1]), Path(sys.argv[2])
try:
    with claim(folder) as claimed, claimed.writing() as scratch:
        (scratch / "of").write_text("first")
        print("working", flush=True)
        while not go_on.exists():
            time.sleep(0.02)
        (scratch / "whole").write_text("yes")
except LockLostError as error:
    print("lost:", error, flush=True)
else:
    print("done", flush=True)
"""


def hold(tmp_path, code="", wrapped=()):
    """A process that has claimed ``record`` and works until ``go`` appears."""
    program = [*wrapped, sys.executable, "-c", code + HOLDER, str(tmp_path / "record"), str(tmp_path / "go")]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert child.stdout.readline() == "working\n"
    return child


def finish(tmp_path, child) -> str:
    """Let it go on; its last word."""
    (tmp_path / "go").touch()
    out, _ = child.communicate(timeout=60)
    return out.strip()


def short_lease(monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(locks, "LEASE_SECONDS", 0.5)


def no_flock(monkeypatch):
    def refuse(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def write(folder, text):
    with claim(folder) as claimed, claimed.writing() as scratch:
        (scratch / "of").write_text(text)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.integration
def test_a_suspended_process_keeps_its_claim(tmp_path, monkeypatch, tried):
    short_lease(monkeypatch)
    child = hold(tmp_path, code=SHORT_LEASE)
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(1.2)  # more than two leases
    os.utime(tmp_path / ".record.lock", (0, 0))
    with pytest.raises(BusyError):
        write(tmp_path / "record", "second")
    os.kill(child.pid, signal.SIGCONT)
    assert finish(tmp_path, child) == "done"
    assert content(tmp_path / "record") == {"of": "first", "whole": "yes"}
    tried("fault: a run suspended for longer than a lease")


@pytest.mark.integration
def test_a_suspended_process_that_lost_its_lease_gives_up(tmp_path, monkeypatch, tried):
    short_lease(monkeypatch)
    no_flock(monkeypatch)
    child = hold(tmp_path, code=NO_FLOCK + SHORT_LEASE)
    with pytest.raises(BusyError):  # it renews its lease
        time.sleep(1)
        write(tmp_path / "record", "second")
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(0.8)
    write(tmp_path / "record", "second")
    os.kill(child.pid, signal.SIGCONT)
    assert finish(tmp_path, child).startswith("lost: the lock")
    assert content(tmp_path / "record") == {"of": "second"}
    assert leftovers(tmp_path) == []
    tried("fault: a run suspended for longer than a lease")


@pytest.mark.integration
def test_a_second_pid_namespace(tmp_path, tried):
    """The holder's process number means nothing, or another process, on this side."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--pid", "--fork", "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and the right to make a PID namespace")
    child = hold(tmp_path, wrapped=(unshare, "--pid", "--fork", "--kill-child"))
    try:
        with pytest.raises(BusyError):
            write(tmp_path / "record", "second")
        assert finish(tmp_path, child) == "done"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    assert content(tmp_path / "record") == {"of": "first", "whole": "yes"}
    tried("fault: a second PID namespace")


@pytest.mark.integration
@pytest.mark.parametrize("skew", [-360, 360])
def test_a_computer_whose_clock_is_wrong(tmp_path, monkeypatch, tried, skew):
    child = hold(tmp_path)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + skew)
    stamp = (true() - skew,) * 2
    os.utime(tmp_path / ".record.lock", stamp)
    with pytest.raises(BusyError):
        write(tmp_path / "record", "second")
    assert finish(tmp_path, child) == "done"
    assert content(tmp_path / "record") == {"of": "first", "whole": "yes"}
    tried("fault: a computer whose clock is wrong")


@pytest.mark.integration
def test_six_processes_without_flock(tmp_path, tried):
    """All find the lock of a dead process; never are two of them inside at once."""
    code = """
        import os, sys, time
        from pathlib import Path
        from odinw_bench.utils.locks import BusyError, exclusive
        folder = Path(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        for race in range(8):
            lock = folder / f"lock{race}"
            while True:
                try:
                    with exclusive(lock):
                        os.close(os.open(folder / f"inside{race}", os.O_CREAT | os.O_EXCL))
                        time.sleep(0.002)
                        os.unlink(folder / f"inside{race}")
                    break
                except BusyError:
                    time.sleep(0.001)
    """
    for race in range(8):
        (tmp_path / f"lock{race}").write_text('{"token": "dead"}')
        os.utime(tmp_path / f"lock{race}", (0, 0))
    lease = SHORT_LEASE.replace("0.1, 0.5", "0.02, 3600")
    command = [sys.executable, "-c", NO_FLOCK + lease + textwrap.dedent(code), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen(command, **pipes) for _ in range(6)]
    for racer in racers:
        racer.stdout.readline()
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=90)
    assert [racer.returncode for racer in racers] == [0] * 6  # FileExistsError: two were inside
    assert not list(tmp_path.iterdir())
    tried("fault: six processes and a dead lock, without flock", 8)


def test_a_claim_that_is_lost_leaves_the_old_record(tmp_path):
    folder = tmp_path / "record"
    write(folder, "old")
    with pytest.raises(LockLostError), claim(folder) as claimed, claimed.writing() as scratch:
        (scratch / "of").write_text("new")
        (tmp_path / ".record.lock").unlink()
    assert content(folder) == {"of": "old"}
    assert leftovers(tmp_path) == []


def test_who_wakes_between_its_look_and_its_rename_finds_nothing_to_rename(tmp_path, monkeypatch):
    """The new holder has moved the scratch folder away, whatever the old one believes."""
    folder = tmp_path / "record"

    def lose_it():
        (tmp_path / ".record.lock").unlink()
        write(folder, "second")

    def give_up():
        with claim(folder) as claimed, claimed.writing() as scratch:
            (scratch / "of").write_text("first")
            monkeypatch.setattr(claims, "sync_tree", lambda _: None)
            plain, looks = locks.Held.check, []

            def check(held):
                plain(held)
                if held is claimed.held and not looks:
                    looks.append(1)
                    lose_it()

            monkeypatch.setattr(locks.Held, "check", check)

    with pytest.raises(LockLostError):
        give_up()
    assert content(folder) == {"of": "second"}


def test_the_old_record_is_there_until_the_new_one_is(tmp_path, monkeypatch):
    """Where two folders cannot be exchanged in one step, a kill between two renames is repaired by the next claim."""
    folder = tmp_path / "record"
    write(folder, "old")
    monkeypatch.setattr(claims, "exchange", lambda *_: False)
    plain = Path.rename

    def killed(path, target):
        if path.name.endswith(".part"):
            raise KeyboardInterrupt
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write(folder, "new")
    monkeypatch.undo()
    assert not folder.exists()
    with claim(folder):
        assert content(folder) == {"of": "old"}
    assert leftovers(tmp_path) == []


def test_a_record_is_replaced_in_one_step(tmp_path, monkeypatch):
    folder, away = tmp_path / "record", tmp_path / "away"
    write(folder, "old")
    away.mkdir()
    if not folders.exchange(folder, away):
        pytest.skip("this file system cannot exchange two folders")
    assert content(away) == {"of": "old"}
    assert folders.exchange(folder, away)
    missing = []
    plain = Path.rename

    def watched(path, target):
        result = plain(path, target)
        missing.append(not folder.exists())
        return result

    monkeypatch.setattr(Path, "rename", watched)
    write(folder, "new")
    assert content(folder) == {"of": "new"}
    assert not any(missing)


def test_a_record_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Files, the folder that lists them, the rename, the folder around it: a power cut leaves no half."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see what a file handle is of")
    steps = []
    plain, rename = os.fsync, Path.rename

    def synced(handle):
        steps.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        plain(handle)

    def renamed(path, target):
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    with claim(tmp_path / "record") as claimed, claimed.writing() as scratch:
        (scratch / "of").write_text("me")
        (scratch / "run.json").write_text("{}")
    names = {str(scratch / "of"), str(scratch / "run.json")}
    at = steps.index("rename")
    assert set(steps[at - 3 : at - 1]) == names
    assert steps[at - 1 : at + 2] == [str(scratch), "rename", str(tmp_path)]


@pytest.mark.integration
def test_a_run_that_lost_its_lease_takes_the_numbers_of_the_other(tmp_path, tried):
    """Without flock, suspended in an epoch; meanwhile the same command does the run."""
    (tmp_path / "sitecustomize.py").write_text(NO_FLOCK + SHORT_LEASE)
    path = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    tuned = ("run", "--dataset", "packages", "--mode", "prompt", "--shots", "1", "--results", "results")
    tuned += ("--engine", "local", "--set", "epochs=4,repeats_per_epoch=1,min_steps_per_epoch=1,eval_every=1")
    first = start(tmp_path, *tuned, PYTHONPATH=path)
    when(lambda: next((tmp_path / "results").rglob("*.resume"), None), first)
    os.killpg(first.pid, signal.SIGSTOP)
    time.sleep(1)
    end(start(tmp_path, *tuned, PYTHONPATH=path))
    (place,) = (tmp_path / "results").rglob("run.json")
    before = {file.name: file.read_bytes() for file in place.parent.iterdir()}
    os.killpg(first.pid, signal.SIGCONT)
    end(first)
    assert {file.name: file.read_bytes() for file in place.parent.iterdir()} == before
    assert {"tuned.safetensors", "prompt.json", "history.jsonl", "predictions.json"} <= before.keys()
    assert len(numbers(records(tmp_path / "results"))) == 1
    assert json.loads(before["run.json"])["status"] == "done"
    assert leftovers(tmp_path / "results") == []
    tried("fault: a run suspended for longer than a lease")
