"""The engine for Ray clusters: the same records, a cluster of its own or one that runs already, and dying workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from glip_core import InputError
from odinw_bench import RunSpec
from odinw_bench.runs.launchers import make_engine
from odinw_bench.runs.options import RunOptions
from odinw_bench.runs.record import find_records
from tests.runs.test_launchers import Log, cells

pytestmark = pytest.mark.integration

pytest.importorskip("ray", reason="the engine 'ray' needs Ray (pip install 'odinw-bench[ray]')")

SPECS = [
    RunSpec(dataset="packages", mode="zero-shot", model="glip-nano-b"),
    RunSpec(
        dataset="pothole",
        mode="linear",
        shots=1,
        model="glip-nano-b",
        overrides={"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1},
    ),
    RunSpec(dataset="packages", mode="zero-shot", weights="dyhead-nano", model="glip-nano-b"),
]


@pytest.fixture(autouse=True)
def _no_cluster_of_the_users(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """What this process measures."""
    results = tmp_path_factory.mktemp("local")
    outcomes = make_engine("local").run(cells(SPECS, results), RunOptions(results), Log())
    return [outcome.record and outcome.record["metrics"] for outcome in outcomes]


def test_a_cluster_of_this_computer_gives_the_same_records(metrics, tmp_path):
    log = Log()
    outcomes = make_engine("ray", 2).run(cells(SPECS, tmp_path), RunOptions(tmp_path), log)
    assert [outcome.record and outcome.record["metrics"] for outcome in outcomes] == metrics
    assert outcomes[2].unusable and "does not fit" in outcomes[2].error
    assert sorted(log.ended) == [0, 1, 2]
    assert len(list(find_records(tmp_path))) == 3
    (record,) = (outcome.record for outcome in outcomes[:1])
    assert str(tmp_path) not in json.dumps(record["spec"])


def kill_holders(results: Path, times: int) -> list[int]:
    """Kill whoever holds the lock of a record, so many times; returns at once, the list fills later."""
    killed: list[int] = []

    def watch():
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            for lock in results.glob("mini/*/*/*.lock"):
                try:
                    pid = json.loads(lock.read_text())["pid"]
                except (OSError, ValueError, KeyError):
                    continue
                if pid not in killed and pid != os.getpid():
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)
                    if len(killed) == times:
                        return
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()
    return killed


def test_a_killed_workers_cell_is_run_again(metrics, tmp_path):
    killed = kill_holders(tmp_path, times=1)
    log = Log()
    (outcome,) = make_engine("ray", 1).run(cells(SPECS[1:2], tmp_path), RunOptions(tmp_path), log)
    assert len(killed) == 1
    assert outcome.record["metrics"] == metrics[1]
    assert log.began == [0, 0]
    assert any("died" in text and "once more" in text for _, text in log.said)


@pytest.mark.slow
def test_a_cell_whose_worker_always_dies_is_a_recorded_failure(tmp_path):
    killed = kill_holders(tmp_path, times=2)
    (outcome,) = make_engine("ray", 1).run(cells(SPECS[1:2], tmp_path), RunOptions(tmp_path), Log())
    assert len(killed) == 2
    assert "its process on the cluster died" in outcome.error
    (folder,) = tmp_path.glob("mini/*/*/*")
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"


def test_a_second_command_joins_a_cluster_that_runs(metrics, tmp_path):
    """``ray start --head`` on loopback, then two grids that share it and a results folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    head = [str(ray), "start", "--head", "--block", f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=2"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    head += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir=/tmp/odinw-ray-{port}"]
    log = (tmp_path / "head.log").open("w")
    cluster = subprocess.Popen(head, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        command = [sys.executable, "-m", "odinw_bench", "run", "--model", "glip-nano-b", "--dataset", "packages"]
        command += ["--mode", "zero-shot", "--results", "shared", "--ray-address", f"127.0.0.1:{port}", "--json"]
        grids = [
            subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        for grid in grids:
            out, err = grid.communicate(timeout=180)
            assert grid.returncode == 0, (err, (tmp_path / "head.log").read_text())
            (run,) = json.loads(out)
            assert run["record"]["metrics"]["AP"] == metrics[0]["AP"]
    finally:
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait(timeout=30)
        subprocess.run(["pkill", "-9", "-f", f"odinw-ray-{port}"], check=False)  # what left its group
        shutil.rmtree(f"/tmp/odinw-ray-{port}", ignore_errors=True)
        log.close()
    assert len(list(find_records(tmp_path / "shared"))) == 1


def test_addresses_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="for the engine 'ray', not 'local'"):
        make_engine("local", ray_address="127.0.0.1:1")
    with pytest.raises(InputError, match="no GPU"):
        make_engine("ray", 1).run(cells(SPECS[:1], tmp_path), RunOptions(tmp_path, device="cuda"), Log())
