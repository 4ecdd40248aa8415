"""Fixtures for all tests."""

from __future__ import annotations

import multiprocessing.process
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

# One thread a process, here and in the programs that tests start: the same sums in the same order everywhere, and no
# waiting for each other where other programs use the cores. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil

import pytest

from tests.cli.conftest import cli, pets  # noqa: F401  fixtures of most folders

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ODINW_SHARED", ROOT.parent / "shared"))
    if not (folder / "parity").is_dir():
        pytest.skip(
            f"reference data not found at {folder}; set ODINW_SHARED to the folder that holds parity/ and odinw/"
        )
    return folder


@pytest.fixture(autouse=True)
def _no_interpreters(request, monkeypatch) -> None:
    """The default suite stays fast: a test that starts another Python is marked ``integration``."""
    if any(request.node.get_closest_marker(mark) for mark in ("integration", "slow")):
        return
    message = "this test starts an interpreter: mark it with pytest.mark.integration"
    start = subprocess.Popen.__init__

    def start_program(self, arguments, *rest, **options) -> None:
        command = arguments if isinstance(arguments, list | tuple) else [arguments]
        assert str(command[0]) != sys.executable, message
        start(self, arguments, *rest, **options)

    def start_worker(self) -> None:
        raise AssertionError(message)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_program)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", start_worker)


_TRIED = "tried: "


@pytest.fixture
def tried(record_property) -> Callable[..., None]:
    """Count something that was tried, for the table at the end: ``tried("fault: killed in an epoch")``.

    It counts only if the test passes.
    """

    def count(what: str, times: int = 1) -> None:
        record_property(_TRIED + what, times)

    return count


def pytest_terminal_summary(terminalreporter) -> None:
    """The faults and inputs that were tried and withstood."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, times in report.user_properties:
            if name.startswith(_TRIED):
                counts[name.removeprefix(_TRIED)] += times
    if not counts:
        return
    terminalreporter.section("tried and withstood")
    for what, times in sorted(counts.items()):
        terminalreporter.write_line(f"{times:6,}  {what}")
    for kind in sorted({what.partition(":")[0] for what in counts}):
        total = sum(times for what, times in counts.items() if what.startswith(f"{kind}:"))
        terminalreporter.write_line(f"{total:6,}  {kind}s in all")


@pytest.fixture(scope="module")
def browser():
    """A browser of the system's; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with the package playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("the page is tested in Chromium, which is not installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        launched = driver.chromium.launch(executable_path=program, args=arguments)
        yield launched
        launched.close()
