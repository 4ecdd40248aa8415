"""Large grids, data sets and class lists; the sizes of the issue with ``-m slow``, a tenth of them always."""

from __future__ import annotations

import json

import pytest

from tests.load import made
from tests.load.__main__ import measure

SLOW = pytest.mark.slow
STARTS_INTERPRETERS = pytest.mark.integration


@STARTS_INTERPRETERS
@pytest.mark.parametrize("count", [600, pytest.param(20_000, marks=SLOW)])
def test_a_report_of_many_records(tmp_path, count):
    """All are in the headline; 1 GB is a machine's, the seconds are those of ``python -m tests.load``."""
    made.write_records(tmp_path / "results", count)
    _, memory, code = measure("report", "--results", tmp_path / "results", "--out", tmp_path / "report")
    assert code == 0
    assert memory < 1.0
    text = (tmp_path / "report/report.md").read_text()
    assert f"{count} finished runs, 0 failed" in text


@STARTS_INTERPRETERS
@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=SLOW)])
def test_many_pictures_are_read_one_at_a_time(tmp_path, count):
    folder = made.write_images(tmp_path / "many", count)
    _, memory, code = measure("data", "check", "--dataset", folder)
    assert code == 0
    assert memory < 1.0
    _, memory, code = measure("run", "--dataset", folder, "--mode", "zero-shot", "--dry-run", "--results", tmp_path)
    assert code == 0
    assert memory < 1.0


@pytest.mark.parametrize("count", [260, pytest.param(1_203, marks=SLOW)])
def test_many_classes(cli, tmp_path, count):
    """More than fit into one prompt: asked for in parts, scored over all, none lost."""
    folder = made.write_classes(tmp_path / "many", count)
    answer = cli("run", "--dataset", folder, "--mode", "zero-shot", "--results", tmp_path / "results", "--json")
    assert answer.code == 0, answer.err
    (run,) = json.loads(answer.out)
    assert len(run["record"]["metrics"]["per_class"]) == count
    line = cli("run", "--dataset", folder, "--mode", "prompt", "--shots", "1", "--results", tmp_path).refused()
    assert "tokens" in line
