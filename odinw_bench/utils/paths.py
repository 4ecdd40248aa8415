"""Where the files that come with the program lie."""

from __future__ import annotations

from pathlib import Path


def tasks_folder() -> Path:
    """The folder of the task files: ``tasks/`` of a checkout, or its copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "tasks_data"
    return installed if installed.is_dir() else package.parent / "tasks"


def grids_folder() -> Path:
    """The folder of the ready-made grids: ``grids/`` of a checkout, or its copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "grids_data"
    return installed if installed.is_dir() else package.parent / "grids"
