"""Databases that workers of one search share: a file, and a server of PostgreSQL's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import pytest

from odinw_bench.search import SearchSettings, begin, best_candidate, set_up, work


def two_workers(url, tmp_path):
    """Two searches that share a database, one after the other."""
    for trials in (3, 5):
        settings = SearchSettings("packages", shots=1, trials=trials, storage=url, results=tmp_path)
        search = set_up(settings)
        begin(search)
        work(search)
    trials = search.study().get_trials()
    assert len(trials) == 5
    assert trials[0].params == search.space.plain()
    assert best_candidate(search)[0].value > 10
    return search


def test_sqlite(tmp_path):
    two_workers(f"sqlite:///{tmp_path}/study.db", tmp_path)


class FixedScorer:
    """Stands in for the scorer: an AP that follows from the prompt's words alone."""

    def __init__(self, score):
        self.score = score


def score(prompt, give_up):
    value = zlib.crc32(prompt.caption.encode()) % 1000 / 10
    metrics = {"AP": value, "per_class": {name: (value * 7 + n) % 100 for n, name in enumerate(prompt.names)}}
    give_up(metrics)
    return metrics


@pytest.mark.parametrize("kind", ["journal", pytest.param("sqlite", marks=pytest.mark.integration)])
def test_a_search_that_was_killed_makes_the_trials_of_one_left_in_peace(tmp_path, monkeypatch, kind):
    def search(place):
        place.mkdir(exist_ok=True)
        url = None if kind == "journal" else f"sqlite:///{place}/study.db"
        return set_up(SearchSettings("packages", shots=1, trials=24, storage=url, results=place))

    def work_on(found, dies_at=0):
        calls = []

        def counted(prompt, give_up):
            calls.append(1)
            if len(calls) == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return score(prompt, give_up)

        monkeypatch.setattr(type(found), "scorer", FixedScorer(counted))
        begin(found)
        work(found)

    for dies_at in (1, 2, 9):
        child = os.fork()
        if child == 0:
            work_on(search(tmp_path / "war"), dies_at)
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    work_on(search(tmp_path / "war"))
    work_on(search(tmp_path / "peace"))
    made = [
        [(one.number, one.state, one.value, one.params) for one in search(tmp_path / place).study().get_trials()]
        for place in ("war", "peace")
    ]
    assert made[0] == made[1]
    assert not list((tmp_path / "war").rglob("*.lock"))


@pytest.fixture(scope="module")
def postgres():
    """A server on loopback, of this test's own."""
    pytest.importorskip("psycopg2", reason="the driver psycopg2 is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="odinw-postgres-"))  # pytest's own folders are closed to other users
    common = {"env": {**os.environ, "LC_ALL": "C"}, "cwd": folder}
    if os.getuid() == 0:  # it refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
        os.chown(folder, account.pw_uid, account.pw_gid)
        common |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    made = [programs[-1], "-D", data, "-A", "trust", "-U", "odinw"]
    subprocess.run(made, check=True, capture_output=True, **common)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={folder}"]
    command = [programs[-1].with_name("postgres"), "-D", data, *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **common)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"postgresql+psycopg2://odinw:secret@127.0.0.1:{port}/postgres"
    server.send_signal(signal.SIGINT)
    server.wait(timeout=30)
    shutil.rmtree(folder)


@pytest.mark.integration
def test_postgresql(postgres, tmp_path):
    two_workers(postgres, tmp_path)
