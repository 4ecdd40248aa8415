"""Grids say what they are about to do, for ``odinw-bench watch``; what became of it is read from the records."""

from __future__ import annotations

import json
import os

import pytest

from odinw_bench.runs.begun import Progress, begun, find_begun
from tests.report import made


def progress(results, running=()):
    """Of the only grid."""
    records = {}
    for path in results.glob("**/run.json"):
        status = json.loads(path.read_text())["status"]
        records[path.parent.relative_to(results).as_posix()] = (path.stat().st_mtime, status)
    (grid,) = find_begun(results)
    return Progress.of(grid, records, set(running))


def test_runs_are_counted_by_what_became_of_them(tmp_path):
    old = made.write(tmp_path, made.record(made.spec(seed=3), error="it failed long ago"))
    os.utime(old / "run.json", (1e9, 1e9))
    made.write(tmp_path, made.record(made.spec(seed=30), made.metrics(50.0)))  # of another grid
    folders = [old, tmp_path / "a" / "b", tmp_path / "a" / "c"]
    with begun(tmp_path, folders, before=4):
        assert progress(tmp_path) == Progress(7, 4, 0, 0, 3)
        assert "its process may be gone" in progress(tmp_path).text
        found = progress(tmp_path, ["a/b"])
        assert (found.running, found.waiting) == (1, 2)
        assert found.text == "4 of 7 runs done, 2 waiting"
        (old / "run.json").write_text(json.dumps(made.record(made.spec(), made.metrics(50.0))))
        assert progress(tmp_path).done == 5
    assert find_begun(tmp_path) == []


def test_runs_that_are_done_again_are_not_done_yet(tmp_path):
    folder = made.write(tmp_path, made.record(made.spec(), made.metrics(50.0)))
    os.utime(folder / "run.json", (1e9, 1e9))
    with begun(tmp_path, [folder], force=True):
        assert progress(tmp_path).waiting == 1
        os.utime(folder / "run.json", (2e9, 2e9))
        assert progress(tmp_path).done == 1
    with begun(tmp_path, [folder]):
        assert progress(tmp_path).done == 1


def test_the_same_grid_twice_is_one_and_a_killed_one_is_taken_up(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    with begun(tmp_path, folders):
        with begun(tmp_path, folders[::-1]):
            assert len(find_begun(tmp_path)) == 1
        with begun(tmp_path, folders[:1]):
            assert len(find_begun(tmp_path)) == 1
    with pytest.raises(KeyboardInterrupt), begun(tmp_path, folders):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_grid_is_passed_over(tmp_path):
    for number, content in enumerate(["{", "[]", '{"folders": ["../x"], "before": 0, "force": false}', "{}"]):
        (tmp_path / f".grid.{number}.json").write_text(content)
    assert find_begun(tmp_path) == []
    with begun(tmp_path, []):
        assert len(list(tmp_path.iterdir())) == 4
