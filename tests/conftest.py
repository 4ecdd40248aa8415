"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

# One thread a process, here and in the programs that tests start: the same sums in the same order everywhere, and no
# waiting for each other where other programs use the cores. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

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
