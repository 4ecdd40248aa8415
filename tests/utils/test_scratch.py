"""Temporary files of living processes stay; those of dead ones go."""

from __future__ import annotations

import fcntl

from odinw_bench.utils.io import replacing
from odinw_bench.utils.scratch import clear_scratch


def test_what_dead_processes_left_is_cleared(tmp_path):
    left = tmp_path / ".report.html.0123456789ab.tmp"
    left.write_text("half")
    others = [tmp_path / name for name in (".hidden.tmp", "0123456789ab.tmp", ".a.0123456789ab.tmp.txt")]
    for path in others:
        path.touch()
    clear_scratch(tmp_path)
    assert not left.exists()
    assert all(path.exists() for path in others)
    clear_scratch(tmp_path / "absent")


def test_what_is_being_written_stays(tmp_path):
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("a")
        clear_scratch(tmp_path)
        assert temporary.exists()
    assert (tmp_path / "a").read_text() == "a"
    assert len(list(tmp_path.iterdir())) == 1


def test_without_flock_nothing_is_taken_for_a_dead_processs(tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refused)
    left = tmp_path / ".a.0123456789ab.tmp"
    left.touch()
    clear_scratch(tmp_path)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("a")
    assert left.exists() and (tmp_path / "a").exists()
